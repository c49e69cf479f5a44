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

test("runs join neighbours that meet at the grid, up to a size", () => {
  const P = PIECE_BYTES;
  const pieces = ranges([5, P], [P, 2 * P], [2 * P, 3 * P], [3 * P, 3 * P + 9], [3 * P + 9, 4 * P]);
  assert.deepEqual(groupRuns(pieces, 2 * P), [
    ranges([5, P], [P, 2 * P]),
    ranges([2 * P, 3 * P], [3 * P, 3 * P + 9]),
    ranges([3 * P + 9, 4 * P]),
  ]);
  for (const run of groupRuns(pieces, 2 * P)) {
    const whole = { start: run[0]?.start ?? 0, end: run.at(-1)?.end ?? 0 };
    assert.deepEqual(splitPieces([whole]), run);
  }
  assert.deepEqual(groupRuns(ranges([0, P], [2 * P, 3 * P]), 9 * P).length, 2);
});
