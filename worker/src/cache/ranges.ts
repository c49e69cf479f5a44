// Arithmetic of byte ranges. Pure. Offsets are plain numbers: exact up to 8 PiB.

/** Bytes from `start` up to, not including, `end`. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/**
 * A piece never crosses a multiple of this, so that neighbours from different tasks meet at the same
 * lines. Also the largest message between peers: with its digest it is below the 4 MiB that a gRPC
 * client takes unless told otherwise.
 */
export const PIECE_BYTES = 2 * 1024 * 1024;

/** Sorted and disjoint; ranges that touch become one, empty ones go. */
export function mergeRanges(ranges: readonly Range[]): Range[] {
  const sorted = ranges.filter(({ start, end }) => start < end).sort((a, b) => a.start - b.start);
  const merged: Range[] = [];
  for (const { start, end } of sorted) {
    const last = merged.at(-1);
    if (last === undefined || start > last.end) merged.push({ start, end });
    else merged[merged.length - 1] = { start: last.start, end: Math.max(last.end, end) };
  }
  return merged;
}

/** What of `ranges` is in none of `taken`; both are lists in any order. */
export function subtractRanges(ranges: readonly Range[], taken: readonly Range[]): Range[] {
  const holes = mergeRanges(taken);
  const left: Range[] = [];
  let first = 0;
  for (const { start, end } of mergeRanges(ranges)) {
    let at = start;
    while ((holes[first]?.end ?? Number.POSITIVE_INFINITY) <= start) first += 1;
    for (let next = first; at < end; next += 1) {
      const hole = holes[next] ?? { start: end, end };
      const until = Math.min(end, hole.start);
      if (at < until) left.push({ start: at, end: until });
      if (hole.start >= end) break;
      at = Math.max(at, hole.end);
    }
  }
  return left;
}

/** Cuts ranges at the multiples of PIECE_BYTES. */
export function splitPieces(ranges: readonly Range[]): Range[] {
  return ranges.flatMap(({ start, end }) => {
    const pieces: Range[] = [];
    for (let at = start; at < end; ) {
      const until = Math.min(end, (Math.floor(at / PIECE_BYTES) + 1) * PIECE_BYTES);
      pieces.push({ start: at, end: until });
      at = until;
    }
    return pieces;
  });
}

/**
 * Joins neighbours that meet at a line of the grid into runs of at most `bytesMax`: a run cut by
 * splitPieces gives its pieces again. The pieces must be sorted and disjoint.
 */
export function groupRuns<T extends Range>(pieces: readonly T[], bytesMax: number): T[][] {
  const runs: T[][] = [];
  for (const piece of pieces) {
    const run = runs.at(-1);
    const first = run?.[0];
    const joins = run?.at(-1)?.end === piece.start && piece.start % PIECE_BYTES === 0;
    if (run === undefined || first === undefined || !joins) runs.push([piece]);
    else if (piece.end - first.start > bytesMax) runs.push([piece]);
    else run.push(piece);
  }
  return runs;
}

export function lengthOf({ start, end }: Range): number {
  return end - start;
}

export function totalBytes(ranges: readonly Range[]): number {
  return ranges.reduce((sum, range) => sum + lengthOf(range), 0);
}

export function overlaps(a: Range, b: Range): boolean {
  return a.start < b.end && b.start < a.end;
}
