// Which pieces go when room is needed: least recently used first, never one that a task holds. Pure.
import type { Piece } from "./piece-index.js";
import { lengthOf } from "./ranges.js";

/** More than asked goes at a time, so that a full cache is not searched for every task. */
const SPARE_SHARE = 1 / 32;

export interface Evictable<F> {
  readonly file: F;
  readonly pieces: readonly Piece[];
}

export interface EvictionOptions<F> {
  readonly files: readonly Evictable<F>[];
  /** Bytes that must go. */
  readonly neededBytes: number;
  readonly bytesMax: number;
  /** Pieces that a task is about to take. */
  readonly keep: ReadonlySet<Piece>;
  /** false: space comes back with whole files only. */
  readonly byPiece: boolean;
}

/** What to take out, or undefined when not even everything that may go is enough. */
export function chooseEvictions<F>(options: EvictionOptions<F>): Map<F, Piece[]> | undefined {
  const { files, neededBytes, bytesMax, keep, byPiece } = options;
  const mayGo = (piece: Piece): boolean =>
    piece.leaseCount === 0 && piece.state !== "busy" && !keep.has(piece);
  const groups = files.flatMap(({ file, pieces }) => {
    if (byPiece) return pieces.filter(mayGo).map((piece) => ({ file, pieces: [piece] }));
    return pieces.length > 0 && pieces.every(mayGo) ? [{ file, pieces: [...pieces] }] : [];
  });
  const sized = groups.map(({ file, pieces }) => ({
    file,
    pieces,
    bytes: pieces.reduce((sum, piece) => sum + lengthOf(piece), 0),
    lastUsed: pieces.reduce((latest, piece) => Math.max(latest, piece.lastUsed), 0),
  }));
  if (sized.reduce((sum, { bytes }) => sum + bytes, 0) < neededBytes) return undefined;
  sized.sort((a, b) => a.lastUsed - b.lastUsed);
  const goal = neededBytes + bytesMax * SPARE_SHARE;
  const chosen = new Map<F, Piece[]>();
  let chosenBytes = 0;
  for (const { file, pieces, bytes } of sized) {
    // Beyond what is needed only what fits the spare, so that a small cache is not emptied.
    if (chosenBytes >= neededBytes && chosenBytes + bytes > goal) break;
    chosen.set(file, [...(chosen.get(file) ?? []), ...pieces]);
    chosenBytes += bytes;
  }
  return chosen;
}
