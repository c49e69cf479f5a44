import assert from "node:assert/strict";
import { test } from "node:test";
import { spreadOf } from "./statistics.js";

const CASES: readonly (readonly [readonly number[], number, number, number])[] = [
  [[7], 7, 7, 7],
  [[3, 1], 2, 1, 3],
  [[10, 9, 100], 10, 9, 100],
  [[4, 1, 3, 2], 2.5, 1, 4],
];

for (const [values, median, min, max] of CASES) {
  test(`median and spread of ${values.join(", ")}`, () => {
    assert.deepEqual(spreadOf(values), { median, min, max });
  });
}

test("nothing has no median", () => {
  assert.throws(() => spreadOf([]), RangeError);
});
