// Binds an AbortSignal to an abort handle of the addon for the time of one call.
import { NativeError } from "./errors.js";
import type { AbortHandle, NativeAddon } from "./native.js";

/** Runs `call`; when `signal` aborts, the addon is told and the promise rejects with signal.reason. */
export async function abortable<T>(
  addon: NativeAddon,
  signal: AbortSignal | undefined,
  call: (abort: AbortHandle) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const abort = addon.abortCreate();
  const trigger = (): void => addon.abortTrigger(abort);
  signal?.addEventListener("abort", trigger, { once: true });
  try {
    return await call(abort);
  } catch (error) {
    const failure = NativeError.from(error);
    if (signal?.aborted && failure instanceof NativeError && failure.code === "CANCELLED") {
      throw signal.reason;
    }
    throw failure;
  } finally {
    signal?.removeEventListener("abort", trigger);
  }
}
