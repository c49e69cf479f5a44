import assert from "node:assert/strict";
import { test } from "node:test";
import { InputError, parseOptions } from "./options.js";

test("sizes of ties and dare_ties follow --size unless they are given", () => {
  const { sizeBytes, tiesSizeBytes, dareSizeBytes } = parseOptions([]);
  assert.equal(sizeBytes, 4 * 2 ** 30);
  assert.equal(tiesSizeBytes, 2 * 2 ** 30);
  assert.equal(dareSizeBytes, Math.floor(0.6 * 2 ** 30));
  assert.equal(parseOptions(["--ties-size", "1.5GB"]).tiesSizeBytes, 1.5e9);
});

test("methods keep the order of the table, however they are listed", () => {
  const { methods, states } = parseOptions(["--methods", "ties,linear", "--state", "cold"]);
  assert.deepEqual([methods, states], [["linear", "ties"], ["cold"]]);
});

const MISTAKES: readonly (readonly [readonly string[], RegExp])[] = [
  [["--size", "4"], /--size: expected a size .*got "4"/],
  [["--dare-size", "0GB"], /--dare-size/],
  [["--runs", "0"], /--runs: expected a whole number from 1/],
  [["--methods", "slerp,lerp"], /--methods: .*got "lerp"/],
  [["--state", "hot"], /--state: expected some of warm, cold, got "hot"/],
  [["--sise", "4GiB"], /--sise/],
];

for (const [args, message] of MISTAKES) {
  test(`refused: ${args.join(" ")}`, () => {
    assert.throws(
      () => parseOptions(args),
      (error) => error instanceof InputError && message.test(error.message),
    );
  });
}
