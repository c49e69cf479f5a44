// One ReadRange call as an iteration. Made from the channel and not from a generated client, whose
// stream would read sixteen messages ahead: here one is on its way while one is in hand, and the rest
// waits in the window of the connection.
import {
  GraftError,
  ReadRangeRequest,
  type ReadRangeResponse,
  WorkerServiceService,
} from "@graft/proto";
import { type ChannelInterface, Metadata, type StatusObject, status } from "@grpc/grpc-js";
import { peerError } from "./peer-error.js";
import { decodeRange } from "./range-codec.js";

export interface RangeStreamOptions {
  readonly channel: ChannelInterface;
  /** For messages. */
  readonly address: string;
  readonly request: ReadRangeRequest;
  /** Longest wait for one message. */
  readonly silenceMs: number;
  readonly signal: AbortSignal;
}

/** Ends when the call has; rejects with what the peer said, WORKER_LOST, or signal.reason. */
export async function* openRangeStream(
  options: RangeStreamOptions,
): AsyncGenerator<ReadRangeResponse, void, undefined> {
  const { channel, address, request, silenceMs, signal } = options;
  signal.throwIfAborted();
  const call = channel.createCall(
    WorkerServiceService.readRange.path,
    Number.POSITIVE_INFINITY,
    null,
    null,
    null,
  );
  const arrived: Buffer[] = [];
  let end: StatusObject | undefined;
  let wake: () => void = () => undefined;
  const onAbort = (): void => call.cancelWithStatus(status.CANCELLED, "aborted");
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    call.start(new Metadata(), {
      onReceiveMetadata: () => undefined,
      onReceiveMessage: (message: Buffer) => {
        arrived.push(message);
        wake();
      },
      onReceiveStatus: (received) => {
        end = received;
        wake();
      },
    });
    call.sendMessageWithContext({}, Buffer.from(ReadRangeRequest.encode(request).finish()));
    call.halfClose();
    call.startRead();
    while (true) {
      const message = arrived.shift();
      if (message !== undefined) {
        call.startRead();
        yield decodeRange(message);
      } else if (end !== undefined) {
        signal.throwIfAborted();
        if (end.code !== status.OK) throw peerError(address, end);
        return;
      } else {
        const woken = new Promise<void>((resolve) => {
          wake = resolve;
        });
        if (await isSilent(woken, silenceMs)) {
          const problem = `silent for ${silenceMs / 1000} s`;
          throw new GraftError("WORKER_LOST", { worker: address, problem });
        }
      }
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
    if (end === undefined) call.cancelWithStatus(status.CANCELLED, "no longer wanted");
  }
}

async function isSilent(woken: Promise<void>, silenceMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(true), silenceMs);
  });
  try {
    return await Promise.race([woken.then(() => false), silence]);
  } finally {
    clearTimeout(timer);
  }
}
