import assert from "node:assert/strict";
import { test } from "node:test";
import {
  groupRuns,
  mergeRanges,
  PIECE_BYTES,
  type Range,
  splitPieces,
  subtractRanges,
  totalBytes,
} from "./ranges.js";
import { testRandom } from "./test-weights.js";

const ranges = (...pairs: readonly [number, number][]): Range[] =>
  pairs.map(([start, end]) => ({ start, end }));

test("merged ranges are sorted, joined where they touch and never empty", () => {
  const merged = mergeRanges(ranges([5, 7], [0, 2], [2, 3], [9, 9], [6, 8]));
  assert.deepEqual(merged, ranges([0, 3], [5, 8]));
});

/** An independent way to the same answer: byte by byte. */
function bytesOf(list: readonly Range[]): Set<number> {
  const bytes = new Set<number>();
  for (const { start, end } of list) for (let at = start; at < end; at += 1) bytes.add(at);
  return bytes;
}

test("subtraction leaves exactly the bytes that are in the first list only", () => {
  const random = testRandom(12345);
  const draw = (): Range[] =>
    Array.from({ length: random(6) }, () => {
      const start = random(60);
      return { start, end: start + random(12) };
    });
  for (let round = 0; round < 2000; round += 1) {
    const wanted = draw();
    const taken = draw();
    const left = subtractRanges(wanted, taken);
    const want = [...bytesOf(wanted)].filter((at) => !bytesOf(taken).has(at)).sort((a, b) => a - b);
    assert.deepEqual([...bytesOf(left)], want, JSON.stringify({ wanted, taken, left }));
    assert.equal(totalBytes(left), want.length);
  }
});

test("pieces cover a range and end at the grid's lines", () => {
  const start = PIECE_BYTES - 10;
  const end = 3 * PIECE_BYTES + 5;
  const want = ranges(
    [start, PIECE_BYTES],
    [PIECE_BYTES, 2 * PIECE_BYTES],
    [2 * PIECE_BYTES, 3 * PIECE_BYTES],
    [3 * PIECE_BYTES, end],
  );
  assert.deepEqual(splitPieces([{ start, end }]), want);
  assert.deepEqual(splitPieces([]), []);
});

test("runs join neighbours up to a size and end at a gap", () => {
  const pieces = ranges([0, 2], [2, 4], [4, 5], [6, 8]);
  assert.deepEqual(groupRuns(pieces, 4), [ranges([0, 2], [2, 4]), ranges([4, 5]), ranges([6, 8])]);
});
