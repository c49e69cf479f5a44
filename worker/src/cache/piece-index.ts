// The pieces of one file in memory, found by range. Pure. Pieces never cross a line of the grid, so a
// list per grid cell is enough.
import { overlaps, PIECE_BYTES, type Range, subtractRanges } from "./ranges.js";

/** One piece: wanted, on its way, or here. */
export interface Piece extends Range {
  /**
   * absent: reserved, no bytes. busy: somebody pulls or checks it. present: on disk, not yet checked
   * in this process. verified: its bytes had its digest when they were last checked.
   */
  state: "absent" | "busy" | "present" | "verified";
  /** Settles when it is no longer busy, whatever it is then. */
  settled: Promise<void>;
  /** XXH3-128; empty while absent. */
  digest: string;
  leaseCount: number;
  /** Position in the order of use over the whole cache. */
  lastUsed: number;
}

export interface PieceIndex {
  /** Sum of the lengths of all pieces, absent ones included. */
  readonly bytes: number;
  readonly size: number;
  add(piece: Piece): void;
  remove(piece: Piece): void;
  overlapping(ranges: readonly Range[]): Piece[];
  /** What of the ranges no piece covers. */
  gaps(ranges: readonly Range[]): Range[];
  all(): Piece[];
}

export function createPieceIndex(): PieceIndex {
  const cells = new Map<number, Piece[]>();
  let bytes = 0;
  let size = 0;
  const overlapping = (ranges: readonly Range[]): Piece[] => {
    const found = new Set<Piece>();
    for (const range of ranges) {
      const last = cellOf(range.end - 1);
      for (let cell = cellOf(range.start); cell <= last; cell += 1) {
        for (const piece of cells.get(cell) ?? []) if (overlaps(piece, range)) found.add(piece);
      }
    }
    return [...found];
  };
  return {
    get bytes() {
      return bytes;
    },
    get size() {
      return size;
    },
    add: (piece) => {
      const cell = cellOf(piece.start);
      cells.set(cell, [...(cells.get(cell) ?? []), piece]);
      bytes += piece.end - piece.start;
      size += 1;
    },
    remove: (piece) => {
      const cell = cellOf(piece.start);
      const left = (cells.get(cell) ?? []).filter((other) => other !== piece);
      if (left.length === (cells.get(cell)?.length ?? 0)) return;
      if (left.length === 0) cells.delete(cell);
      else cells.set(cell, left);
      bytes -= piece.end - piece.start;
      size -= 1;
    },
    overlapping,
    gaps: (ranges) => subtractRanges(ranges, overlapping(ranges)),
    all: () => [...cells.values()].flat(),
  };
}

function cellOf(offset: number): number {
  return Math.floor(offset / PIECE_BYTES);
}
