// One weight file in the cache: a sparse file with the original's size, its pieces at the original's
// offsets, and the log beside it. The engine reads it as it would read the original.
import { statSync } from "node:fs";
import { open, rm, utimes } from "node:fs/promises";
import { ANY_TIME, digestRange, freeRange, type NativeFile, writeRange } from "@graft/native";
import { GraftError } from "@graft/proto";
import { toGraftError } from "../errors.js";
import { createPieceIndex, type Piece, type PieceIndex } from "./piece-index.js";
import { type LoggedPiece, openPieceLog } from "./piece-log.js";
import { lengthOf, PIECE_BYTES, type Range } from "./ranges.js";

export const LOG_SUFFIX = ".pieces";
const TOUCH_INTERVAL_MS = 60_000;

export interface CachedFile extends AsyncDisposable {
  readonly path: string;
  readonly index: PieceIndex;
  /** Lines of the log that could not be read when it was opened; their pieces are pulled anew. */
  readonly damagedLineCount: number;
  /** Gives the file the original's size again, and notices bytes that others have changed. */
  prepare(sizeBytes: number): Promise<void>;
  /** Writes a busy piece; false, and nothing changed, when the bytes have another digest. */
  store(piece: Piece, bytes: Uint8Array, digest: string): Promise<boolean>;
  /** Whether a busy piece's bytes on disk have its digest. */
  check(piece: Piece): Promise<boolean>;
  /** Strikes a busy piece from the log: its bytes are wrong. */
  strike(piece: Piece): Promise<void>;
  /** Takes pieces out of the index at once and gives their blocks back later. */
  forget(pieces: readonly Piece[]): void;
  /** Remembers across restarts that the file was used now. */
  touch(nowMs: number): void;
  /** For the engine, with the right to read leased pieces only. */
  native(): NativeFile;
  /** Removes it from disk, after everything under way. */
  remove(): Promise<void>;
}

export interface OpenCachedFileOptions {
  readonly path: string;
  /** Positions in the order of use, oldest first. */
  readonly nextUse: () => number;
}

/** Pieces of an earlier process are present, not verified. */
export async function openCachedFile(options: OpenCachedFileOptions): Promise<CachedFile> {
  const { path, nextUse } = options;
  const logPath = path + LOG_SUFFIX;
  const { log, pieces, damagedLineCount } = await openPieceLog(logPath);
  const index = indexOf(pieces, nextUse);
  const watch = createChangeWatch(path, index);
  let freed: Promise<void> = Promise.resolve();
  let touchedMs = Number.NEGATIVE_INFINITY;
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= freed.then(() => log[Symbol.asyncDispose]());
    return closing;
  };
  const free = async (pieces: readonly Range[]): Promise<void> => {
    if (pieces.length === 0) return;
    await log.removed(pieces);
    await watch.changing(async () => {
      for (const piece of pieces) await freeRange(path, BigInt(piece.start), lengthOf(piece));
    });
  };
  return {
    path,
    index,
    damagedLineCount,
    prepare: async (sizeBytes) => {
      if (watch.sizeBytes() !== sizeBytes) {
        await watch.changing(() => resize(path, sizeBytes));
        for (const piece of index.all()) suspect(piece);
      }
      watch.look();
    },
    store: async (piece, bytes, digest) => {
      // A hole that is being made there would swallow the bytes.
      await freed;
      const at = BigInt(piece.start);
      if (!(await watch.changing(() => writeRange(path, at, bytes, digest)))) return false;
      piece.digest = digest;
      await log.added({ start: piece.start, end: piece.end, digest });
      return true;
    },
    check: async ({ start, end, digest }) =>
      (await digestRange(path, BigInt(start), end - start)) === digest,
    strike: async (piece) => {
      piece.digest = "";
      await log.removed([piece]);
    },
    forget: (pieces) => {
      for (const piece of pieces) index.remove(piece);
      const written = pieces.filter(({ digest }) => digest !== "");
      // What cannot be given back is overwritten or removed with the file; the log says it is gone.
      freed = freed.then(() => free(written)).catch(() => undefined);
    },
    touch: (nowMs) => {
      if (nowMs - touchedMs < TOUCH_INTERVAL_MS) return;
      touchedMs = nowMs;
      // Only the order of eviction after a restart depends on it.
      utimes(logPath, nowMs / 1000, nowMs / 1000).catch(() => undefined);
    },
    native: () => watch.native(),
    remove: async () => {
      await close();
      await rm(path, { force: true });
      await rm(logPath, { force: true });
    },
    [Symbol.asyncDispose]: close,
  };
}

/** Pieces that do not fit each other are of a cache that another version wrote; they are left out. */
function indexOf(pieces: readonly LoggedPiece[], nextUse: () => number): PieceIndex {
  const index = createPieceIndex();
  for (const { start, end, digest } of pieces) {
    if (!fitsGrid({ start, end }) || index.overlapping([{ start, end }]).length > 0) continue;
    index.add({ start, end, digest, state: "present", ...UNUSED, lastUsed: nextUse() });
  }
  return index;
}

/** What a piece begins with that nobody uses. */
export const UNUSED = { settled: Promise.resolve(), leaseCount: 0 } as const;

interface ChangeWatch {
  sizeBytes(): number;
  /** Runs our own change of the file. */
  changing<T>(change: () => Promise<T>): Promise<T>;
  /** Doubts every piece when the file has changed and we were not it. */
  look(): void;
  native(): NativeFile;
}

/**
 * A modification time that is not the one our last change left means that somebody else wrote: then
 * every piece is checked again. While one of our changes runs that cannot be told.
 */
function createChangeWatch(path: string, index: PieceIndex): ChangeWatch {
  const now = (): { mtimeNs: bigint; ino: bigint; size: bigint } => {
    const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
    return stats ?? { mtimeNs: -1n, ino: -1n, size: -1n };
  };
  let known = now();
  let changeCount = 0;
  const look = (): void => {
    if (changeCount > 0) return;
    const found = now();
    if (found.mtimeNs !== known.mtimeNs || found.ino !== known.ino || found.size !== known.size) {
      for (const piece of index.all()) suspect(piece);
    }
    known = found;
  };
  return {
    sizeBytes: () => Number(now().size),
    changing: async (change) => {
      look();
      changeCount += 1;
      try {
        return await change();
      } finally {
        changeCount -= 1;
        known = now();
      }
    },
    look,
    native: () => {
      const { size, ino } = now();
      if (size < 0n) throw new GraftError("NOT_HERE", { path, what: "removed by somebody" });
      return { path, sizeBytes: size, modifiedTimeNs: ANY_TIME, inode: ino };
    },
  };
}

function suspect(piece: Piece): void {
  if (piece.state === "verified") piece.state = "present";
}

async function resize(path: string, sizeBytes: number): Promise<void> {
  try {
    await using file = await open(path, "a");
    await file.truncate(sizeBytes);
  } catch (error) {
    throw toGraftError(error instanceof Error ? Object.assign(error, { path }) : error);
  }
}

function fitsGrid({ start, end }: Range): boolean {
  return Math.floor(start / PIECE_BYTES) === Math.floor((end - 1) / PIECE_BYTES);
}
