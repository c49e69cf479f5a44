// Makes leased pieces right: those on disk are checked, those that are not are pulled, those that
// another task is busy with are waited for. So a piece is pulled once however many tasks want it.

import { GraftError, type WeightFile } from "@graft/proto";
import { mapBounded } from "../bounded.js";
import type { CachedFile } from "./cached-file.js";
import type { Piece } from "./piece-index.js";
import type { Range } from "./ranges.js";

/**
 * Brings bytes of a file. Calls `accept` for each of the pieces until it answers true; false means
 * that the bytes do not have the digest. Rejects when that cannot be done.
 */
export type PullFile = (
  file: WeightFile,
  pieces: readonly Range[],
  accept: AcceptPiece,
  signal: AbortSignal,
) => Promise<void>;

export type AcceptPiece = (piece: Range, bytes: Uint8Array, digest: string) => Promise<boolean>;

export interface Wanted {
  readonly weights: WeightFile;
  readonly file: CachedFile;
  readonly pieces: readonly Piece[];
}

export interface FillOptions {
  readonly pull: PullFile;
  readonly signal: AbortSignal;
  /** Bytes arrived, right or wrong. */
  readonly onWire: (byteCount: number) => void;
  /** A piece's bytes did not have its digest, on arrival or on disk. */
  readonly onWrong: () => void;
}

const CHECKS_AT_ONCE = 4;

/** Resolves when every piece is verified. */
export async function fill(wanted: readonly Wanted[], options: FillOptions): Promise<void> {
  while (true) {
    options.signal.throwIfAborted();
    // Each turn takes what nobody is busy with; the next one sees what became of the rest.
    await takeTurn(wanted, options);
    const left = wanted.flatMap(({ pieces }) => pieces.filter(notVerified));
    if (left.length === 0) return;
    if (left.every(({ state }) => state === "busy")) await untilSettled(left, options.signal);
  }
}

/** The first failure stops the others; all have ended when it is thrown. */
async function takeTurn(wanted: readonly Wanted[], options: FillOptions): Promise<void> {
  const failed = new AbortController();
  const signal = AbortSignal.any([options.signal, failed.signal]);
  const stopOthers = (error: unknown): never => {
    failed.abort(error);
    throw error;
  };
  const checked = wanted.map((item) => checkPresent(item, options));
  const pulled = wanted.map((item) => pullAbsent(item, { ...options, signal }));
  await Promise.allSettled([...checked, ...pulled].map((turn) => turn.catch(stopOthers)));
  failed.signal.throwIfAborted();
}

function notVerified({ state }: Piece): boolean {
  return state !== "verified";
}

async function checkPresent({ file, pieces }: Wanted, { onWrong }: FillOptions): Promise<void> {
  const claims = claim(pieces.filter(({ state }) => state === "present"));
  try {
    await mapBounded(claims, CHECKS_AT_ONCE, async ({ piece, settle }) => {
      if (await file.check(piece)) return settle("verified");
      onWrong();
      await file.strike(piece);
      settle("absent");
    });
  } finally {
    for (const { settle } of claims) settle("present");
  }
}

async function pullAbsent({ weights, file, pieces }: Wanted, options: FillOptions): Promise<void> {
  const claims = claim(pieces.filter(({ state }) => state === "absent"));
  if (claims.length === 0) return;
  const { pull, signal, onWire, onWrong } = options;
  const byStart = new Map(claims.map((entry) => [entry.piece.start, entry]));
  const accept: AcceptPiece = async ({ start }, bytes, digest) => {
    const entry = byStart.get(start);
    if (entry === undefined) throw unasked(file, start);
    onWire(bytes.length);
    if (await file.store(entry.piece, bytes, digest)) {
      entry.settle("verified");
      return true;
    }
    onWrong();
    return false;
  };
  const ranges = claims.map(({ piece: { start, end } }) => ({ start, end }));
  try {
    await pull(
      weights,
      ranges.sort((a, b) => a.start - b.start),
      accept,
      signal,
    );
    const missed = claims.find(({ piece }) => piece.state === "busy");
    if (missed !== undefined) throw unasked(file, missed.piece.start);
  } finally {
    for (const { settle } of claims) settle("absent");
  }
}

function unasked(file: CachedFile, start: number): GraftError {
  const problem = `${file.path}: the pull and the cache disagree about the piece at ${start}`;
  return new GraftError("INTERNAL", { problem });
}

interface Claim {
  readonly piece: Piece;
  /** The first call decides. */
  readonly settle: (state: "absent" | "present" | "verified") => void;
}

function claim(pieces: readonly Piece[]): Claim[] {
  return pieces.map((piece) => {
    let wake: () => void = () => undefined;
    piece.state = "busy";
    piece.settled = new Promise((resolve) => {
      wake = resolve;
    });
    let done = false;
    const settle: Claim["settle"] = (state) => {
      if (done) return;
      done = true;
      piece.state = state;
      wake();
    };
    return { piece, settle };
  });
}

async function untilSettled(pieces: readonly Piece[], signal: AbortSignal): Promise<void> {
  let stop: () => void = () => undefined;
  const aborted = new Promise<void>((resolve) => {
    stop = resolve;
    signal.addEventListener("abort", stop, { once: true });
  });
  await Promise.race([Promise.all(pieces.map(({ settled }) => settled)), aborted]);
  signal.removeEventListener("abort", stop);
}
