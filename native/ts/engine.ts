// The engine: one per process, runs tasks on native threads. Owned by whoever created it; disposing
// waits for running tasks, so abort them first when that matters.
import { abortable } from "./abort.js";
import { NativeError, translated, translatedSync } from "./errors.js";
import { nativeAddon } from "./load.js";
import type { EngineCounters, NativeTask, NativeTaskResult } from "./native.js";

const MIB = 1024 * 1024;
const THREAD_COUNT_MAX = 1024;
/** One tile each of a handful of inputs and an output; below this nothing can run. */
const MEMORY_BYTES_MIN = 32 * MIB;

export interface CreateEngineOptions {
  /** Threads that compute; I/O threads come on top. */
  readonly threadCount: number;
  /** Bound on the engine's own buffers. */
  readonly memoryBytes: number;
  /** An entry of availableIsas(); the best one when absent. */
  readonly isa?: string | undefined;
  /** Bytes of output per work unit, a multiple of 1 MiB; the engine's choice when absent. */
  readonly tileBytes?: number | undefined;
  /** false never opens with O_DIRECT; true when absent. */
  readonly directIo?: boolean | undefined;
}

export interface RunTaskOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface Engine extends AsyncDisposable {
  /** Instruction set in use. */
  readonly isa: string;
  /** Bytes of all outputs are written and digested when it resolves; rejects with signal.reason. */
  runTask(task: NativeTask, options?: RunTaskOptions): Promise<NativeTaskResult>;
  /** Totals since creation; cheap. */
  counters(): EngineCounters;
}

/** Throws FLAG with the option's name, or NATIVE_MISSING. */
export function createEngine(options: CreateEngineOptions): Engine {
  const { threadCount, memoryBytes, isa, tileBytes, directIo } = options;
  checkInteger("threadCount", threadCount, 1, THREAD_COUNT_MAX);
  checkInteger("memoryBytes", memoryBytes, MEMORY_BYTES_MIN, Number.MAX_SAFE_INTEGER);
  checkTile(tileBytes);
  const addon = nativeAddon();
  checkIsa(isa, addon.availableIsas());
  const handle = translatedSync(() =>
    addon.engineCreate({
      threadCount,
      bufferBytesMax: BigInt(memoryBytes),
      isa: isa ?? null,
      tileBytes: tileBytes === undefined ? null : BigInt(tileBytes),
      directIo: directIo ?? true,
    }),
  );
  let closing: Promise<void> | undefined;
  return {
    isa: translatedSync(() => addon.engineIsa(handle)),
    runTask: (task, { signal } = {}) =>
      abortable(addon, signal, (abort) => addon.engineRunTask(handle, task, abort)),
    counters: () => translatedSync(() => addon.engineCounters(handle)),
    [Symbol.asyncDispose]: () => {
      closing ??= translated(() => addon.engineClose(handle));
      return closing;
    },
  };
}

function checkInteger(flag: string, value: number, min: number, max: number): void {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return;
  const problem = `expected a whole number in [${min}, ${max}], got ${value}`;
  throw new NativeError("FLAG", { flag, problem });
}

function checkTile(tileBytes: number | undefined): void {
  if (tileBytes === undefined) return;
  if (Number.isSafeInteger(tileBytes) && tileBytes > 0 && tileBytes % MIB === 0) return;
  const problem = `expected a multiple of 1 MiB, got ${tileBytes} bytes`;
  throw new NativeError("FLAG", { flag: "tileBytes", problem });
}

function checkIsa(isa: string | undefined, available: readonly string[]): void {
  if (isa === undefined || available.includes(isa)) return;
  const problem = `expected one of ${available.join(", ")} on this machine, got ${JSON.stringify(isa)}`;
  throw new NativeError("FLAG", { flag: "isa", problem });
}
