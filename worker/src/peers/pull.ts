// Brings pieces of a weight file from workers that have it. Pulled, never pushed: who needs bytes knows
// which are missing, so a stream that breaks goes on where the last good piece ended, with the same
// holder or another one.
import { setMaxListeners } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { GraftError, type WeightFile } from "@graft/proto";
import type { ChannelCredentials } from "@grpc/grpc-js";
import type { AcceptPiece, PullFile } from "../cache/fill.js";
import { groupRuns, lengthOf, type Range } from "../cache/ranges.js";
import { toGraftError } from "../errors.js";
import { createPeerChannels, type PeerChannels } from "./channels.js";
import { createLimiter } from "./limiter.js";
import { openRangeStream } from "./range-stream.js";

export interface PeersOptions {
  readonly credentials: ChannelCredentials;
  readonly silenceMs?: number | undefined;
}

/** What one peer has done since this worker started. */
export interface PeerCounters {
  readonly receivedBytes: number;
  readonly wrongPieceCount: number;
  /** Streams that ended before everything that was asked for had come. */
  readonly brokenStreamCount: number;
}

export interface Peers extends Disposable {
  /** NO_HOLDER when nobody has a piece, INPUT_CHANGED when the file is no longer that one. */
  readonly pull: PullFile;
  counters(): ReadonlyMap<string, PeerCounters>;
}

const MIB = 1024 * 1024;
const SILENCE_MS = 15_000;
/** Over all peers; each has two messages in memory. */
const STREAMS_AT_ONCE = 4;
/** One call; long pulls are cut so that several connections share them. */
const RUN_BYTES_MAX = 32 * MIB;
/** Per holder, without a good piece in between: a worker that restarts is back after a second or two. */
const ATTEMPTS_MAX = 5;
const BACKOFF_FIRST_MS = 100;

type Counting = { -readonly [K in keyof PeerCounters]: number };

export function createPeers({ credentials, silenceMs = SILENCE_MS }: PeersOptions): Peers {
  const channels = createPeerChannels(credentials);
  const limit = createLimiter(STREAMS_AT_ONCE);
  const byAddress = new Map<string, Counting>();
  const countersOf = (address: string): Counting => {
    const known = byAddress.get(address);
    if (known !== undefined) return known;
    const fresh = { receivedBytes: 0, wrongPieceCount: 0, brokenStreamCount: 0 };
    byAddress.set(address, fresh);
    return fresh;
  };
  const pull: PullFile = async (file, pieces, accept, signal) => {
    const failed = new AbortController();
    const either = AbortSignal.any([signal, failed.signal]);
    // Every run that waits for its turn listens to it.
    setMaxListeners(0, either);
    const context = { file, accept, signal: either, silenceMs, channels, countersOf };
    const runs = groupRuns(pieces, RUN_BYTES_MAX).map((run) =>
      limit(() => pullRun(run, context), either).catch((error: unknown) => failed.abort(error)),
    );
    await Promise.all(runs);
    signal.throwIfAborted();
    failed.signal.throwIfAborted();
  };
  return {
    pull,
    counters: () => byAddress,
    [Symbol.dispose]: () => channels[Symbol.dispose](),
  };
}

interface Context {
  readonly file: WeightFile;
  readonly accept: AcceptPiece;
  readonly signal: AbortSignal;
  readonly silenceMs: number;
  readonly channels: PeerChannels;
  readonly countersOf: (address: string) => Counting;
}

/** Answers of a holder that asking again does not change. */
const FINAL = new Set(["INPUT_CHANGED", "NOT_HERE", "FLAG", "UNAUTHENTICATED", "ROLE_REFUSED"]);

async function pullRun(run: readonly Range[], context: Context): Promise<void> {
  const { file, signal } = context;
  const holders = [...new Set(file.source?.holders)];
  const count = holders.length;
  let left = run;
  for (let failures = 0; left.length > 0; ) {
    const [address] = holders;
    if (address === undefined) throw noHolder(file, left, { count, worker: "none", problem: "" });
    const { missing, failure } = await attempt(address, left, context);
    if (missing.length < left.length) failures = 0;
    left = missing;
    if (failure === undefined) continue;
    failures += 1;
    const isFinal = FINAL.has(failure.code);
    // The next one has a go; this one comes again after the others, or never.
    holders.shift();
    if (!isFinal) holders.push(address);
    if (holders.length === 0 || failures >= ATTEMPTS_MAX * holders.length) {
      if (failure.code === "INPUT_CHANGED") throw failure;
      throw noHolder(file, left, { count, worker: address, problem: failure.message });
    }
    if (!isFinal && failures >= holders.length) {
      const round = Math.floor(failures / holders.length) - 1;
      await sleep(BACKOFF_FIRST_MS * 2 ** round, undefined, { signal });
    }
  }
}

function noHolder(
  { path }: WeightFile,
  left: readonly Range[],
  details: { readonly count: number; readonly worker: string; readonly problem: string },
): GraftError {
  const range = `${left[0]?.start}..${left.at(-1)?.end}`;
  return new GraftError("NO_HOLDER", { path, range, ...details });
}

interface Outcome {
  readonly missing: readonly Range[];
  /** Why something is missing. */
  readonly failure: GraftError | undefined;
}

/** One call for the first run of what is left. Rejects with signal.reason or what `accept` throws. */
async function attempt(
  address: string,
  left: readonly Range[],
  { file, accept, signal, silenceMs, channels, countersOf }: Context,
): Promise<Outcome> {
  const [run = []] = groupRuns(left, RUN_BYTES_MAX);
  const rest = left.slice(run.length);
  const counters = countersOf(address);
  const wrong: Range[] = [];
  let done = 0;
  let failure: GraftError | undefined;
  let ownError: unknown;
  try {
    const offset = run[0]?.start ?? 0;
    const lengthBytes = BigInt((run.at(-1)?.end ?? 0) - offset);
    const request = { file, offsetBytes: BigInt(offset), lengthBytes };
    const stream = openRangeStream({
      channel: channels.next(address),
      ...{ address, request, silenceMs, signal },
    });
    for await (const { offsetBytes, data, digest } of stream) {
      const piece = run[done];
      counters.receivedBytes += data.length;
      if (piece === undefined || Number(offsetBytes) !== piece.start) break;
      if (data.length !== lengthOf(piece)) break;
      const accepted = await accept(piece, data, digest).catch((error: unknown) => {
        ownError = error;
        throw error;
      });
      done += 1;
      if (accepted) continue;
      counters.wrongPieceCount += 1;
      wrong.push(piece);
      const problem = `sent bytes ${piece.start}..${piece.end} with a wrong digest`;
      failure = new GraftError("WORKER_LOST", { worker: address, problem });
    }
    if (done < run.length) {
      const problem = `ended at byte ${run[done]?.start}`;
      failure = new GraftError("WORKER_LOST", { worker: address, problem });
    }
  } catch (error) {
    signal.throwIfAborted();
    if (ownError !== undefined) throw ownError;
    failure = toGraftError(error);
  }
  if (done < run.length) counters.brokenStreamCount += 1;
  const missing = [...wrong, ...run.slice(done), ...rest];
  return { missing, failure };
}
