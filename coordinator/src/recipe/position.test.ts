// Offsets to lines and columns.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createLocator } from "./position.js";

const CASES: readonly (readonly [string, string, number, readonly [number, number]])[] = [
  ["the start", "ab\ncd", 0, [1, 1]],
  ["the end of a line", "ab\ncd", 2, [1, 3]],
  ["the start of the next line", "ab\ncd", 3, [2, 1]],
  ["the end of the text", "ab\ncd", 5, [2, 3]],
  ["an empty text", "", 0, [1, 1]],
  ["a line end of two characters", "ab\r\ncd", 4, [2, 1]],
  ["the line after the last line end", "ab\n", 3, [2, 1]],
  ["after a byte order mark", "\ufeffab\ncd", 1, [1, 1]],
  ["the second line after a byte order mark", "\ufeffab\ncd", 5, [2, 2]],
];

for (const [name, text, offset, [line, column]] of CASES) {
  test(`${name} is found`, () => {
    assert.deepEqual(createLocator(text)(offset), { line, column });
  });
}

test("positions may be asked in any order", () => {
  const text = "a\nbb\n\nccc\n";
  const offsets = [...text].map((_, offset) => offset);
  const inOrder = createLocator(text);
  const expected = offsets.map((offset) => inOrder(offset));
  const backwards = createLocator(text);
  assert.deepEqual(
    offsets.toReversed().map((offset) => backwards(offset)),
    expected.toReversed(),
  );
});
