import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createHeap } from "./heap.js";

describe("heap", () => {
  for (const [name, items] of [
    ["nothing", []],
    ["one item", [4]],
    ["a sorted run", [1, 2, 3, 4, 5]],
    ["a reversed run", [9, 7, 5, 3, 1]],
    ["equal items", [2, 1, 2, 1, 2]],
    ["a scramble", Array.from({ length: 257 }, (_, index) => (index * 101) % 257)],
  ] as const) {
    it(`gives ${name} back in order`, () => {
      const heap = createHeap((a, b) => a < b);
      for (const item of items) heap.push(item);
      const drained: number[] = [];
      for (let item = heap.pop(); item !== undefined; item = heap.pop()) drained.push(item);
      assert.deepEqual(
        drained,
        [...items].sort((a, b) => a - b),
      );
      assert.equal(heap.size, 0);
    });
  }
});
