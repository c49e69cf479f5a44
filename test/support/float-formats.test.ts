// The rounding that judges the product is itself judged by values worked out by hand.
import assert from "node:assert/strict";
import { test } from "node:test";
import { BF16, F16, fromBits, toBits, ulpDistance } from "./float-formats.js";

const CASES = [
  ["bf16 of one", BF16, 1, 0x3f80],
  ["bf16 half way rounds to the even fraction below", BF16, 1 + 2 ** -8, 0x3f80],
  ["bf16 half way rounds to the even fraction above", BF16, 1 + 3 * 2 ** -8, 0x3f82],
  ["bf16 just above half way rounds up", BF16, 1 + 2 ** -8 + 2 ** -23, 0x3f81],
  ["bf16 carry into the exponent", BF16, 2 - 2 ** -10, 0x4000],
  ["bf16 smallest subnormal", BF16, 2 ** -133, 0x0001],
  ["bf16 half of the smallest subnormal is zero", BF16, 2 ** -134, 0x0000],
  ["bf16 overflow", BF16, 3.4e38, 0x7f80],
  ["bf16 negative zero", BF16, -0, 0x8000],
  ["f16 of minus two", F16, -2, 0xc000],
  ["f16 largest", F16, 65504, 0x7bff],
  ["f16 overflow at the rounding bound", F16, 65520, 0x7c00],
  ["f16 below the rounding bound", F16, 65519, 0x7bff],
  ["f16 smallest normal", F16, 2 ** -14, 0x0400],
  ["f16 smallest subnormal", F16, 2 ** -24, 0x0001],
  ["f16 infinity", F16, -Infinity, 0xfc00],
] as const;

for (const [name, format, value, bits] of CASES) {
  test(name, () => assert.equal(toBits(value, format).toString(16), bits.toString(16)));
}

for (const format of [BF16, F16]) {
  test(`every ${format.name} pattern survives a round trip`, () => {
    for (let bits = 0; bits < 0x10000; bits += 1) {
      const value = fromBits(bits, format);
      if (!Number.isNaN(value)) assert.equal(toBits(value, format), bits);
    }
  });
}

test("ulp distance crosses zero without a gap", () => {
  assert.equal(ulpDistance(0x0001, 0x8001), 2);
  assert.equal(ulpDistance(0x0000, 0x8000), 0);
});
