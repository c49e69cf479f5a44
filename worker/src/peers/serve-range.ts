// The other end of a pull: reads a file's pieces, from its own path or from the cache, and sends each
// with its digest. One piece waits while one is sent, whatever the caller's speed.
import { readRange } from "@graft/native";
import { GraftError, type ReadRangeRequest, type ReadRangeResponse } from "@graft/proto";
import type { ServerWritableStream } from "@grpc/grpc-js";
import { toNativeFile, whyNotHere } from "../cache/local-file.js";
import { lengthOf, type Range, splitPieces } from "../cache/ranges.js";
import type { Lease, ShardCache } from "../cache/shard-cache.js";
import { toStatus } from "../errors.js";

type RangeCall = ServerWritableStream<ReadRangeRequest, ReadRangeResponse>;

export interface RangeServerOptions {
  /** undefined when this worker keeps none. */
  readonly cache: () => Promise<ShardCache | undefined>;
}

export function createRangeServer(options: RangeServerOptions): (call: RangeCall) => Promise<void> {
  return async (call) => {
    const gone = new AbortController();
    call.on("cancelled", () => gone.abort());
    try {
      await sendRange(call, gone.signal, options);
      call.end();
    } catch (error) {
      call.emit("error", toStatus(error));
    }
  };
}

async function sendRange(
  call: RangeCall,
  signal: AbortSignal,
  options: RangeServerOptions,
): Promise<void> {
  const { file, offsetBytes, lengthBytes } = call.request;
  const end = offsetBytes + lengthBytes;
  if (file === undefined || offsetBytes < 0n || lengthBytes < 0n || end > file.sizeBytes) {
    const problem = `bytes ${offsetBytes}..${end} are not inside ${file?.sizeBytes ?? 0n} bytes`;
    throw new GraftError("FLAG", { flag: "range", problem });
  }
  const range = { start: Number(offsetBytes), end: Number(end) };
  const lease = await findSource(call.request, range, signal, options);
  try {
    const source = lease?.files[0] ?? toNativeFile(file);
    let sent: Promise<void> = Promise.resolve();
    for (const piece of splitPieces([range])) {
      const offset = BigInt(piece.start);
      const { data, digest } = await readRange(source, offset, lengthOf(piece));
      await sent;
      sent = write(call, { offsetBytes: offset, data, digest }, signal);
    }
    await sent;
  } finally {
    lease?.release();
  }
}

/** undefined: read it at its path. That also finds out what is wrong with a file that has changed. */
async function findSource(
  { file }: ReadRangeRequest,
  range: Range,
  signal: AbortSignal,
  options: RangeServerOptions,
): Promise<Lease | undefined> {
  if (file === undefined) return undefined;
  const what = await whyNotHere(file);
  if (what === undefined) return undefined;
  const cache = await options.cache();
  const need = { file, ranges: [range] };
  const refusal = new GraftError("NOT_HERE", { path: file.path, what });
  if (cache !== undefined && cache.missing(need).length === 0) {
    // Serving never pulls: two workers would ask each other for ever.
    return cache.lease([need], { pull: () => Promise.reject(refusal), signal });
  }
  if (what === "no such file") throw refusal;
  return undefined;
}

/** Resolves when the piece has left this process, as far as it can know. */
function write(call: RangeCall, message: ReadRangeResponse, signal: AbortSignal): Promise<void> {
  const written = new Promise<void>((resolve, reject) => {
    const leave = (): void => reject(signal.reason);
    if (signal.aborted) return leave();
    signal.addEventListener("abort", leave, { once: true });
    call.write(message, (error?: Error | null) => {
      signal.removeEventListener("abort", leave);
      if (error) reject(error);
      else resolve();
    });
  });
  // The next turn looks at it; a failure before that is not an unhandled one.
  written.catch(() => undefined);
  return written;
}
