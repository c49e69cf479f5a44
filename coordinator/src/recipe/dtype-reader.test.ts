// dtype and out_dtype: accepted names, and what is said about the others.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Dtype } from "@graft/proto";
import { LINEAR_MODELS, PASSTHROUGH_STACK, parsed, told } from "./sample-recipes.js";

test("out_dtype decides what is stored, else dtype, else nothing does", () => {
  assert.equal(parsed(LINEAR_MODELS).outputDtype, Dtype.DTYPE_BF16);
  assert.equal(parsed(PASSTHROUGH_STACK).outputDtype, Dtype.DTYPE_F16);
  assert.equal(parsed("merge_method: passthrough\nmodels: [{model: a}]").outputDtype, null);
  const prefixed = "merge_method: passthrough\nmodels: [{model: a}]\ndtype: torch.float32";
  assert.equal(parsed(prefixed).outputDtype, Dtype.DTYPE_F32);
});

const DTYPES: readonly (readonly [string, string])[] = [
  ["float64", 'unknown dtype "float64"; expected one of bfloat16, float16, float32'],
  ["bf17", 'unknown dtype "bf17"; expected one of bfloat16, float16, float32'],
  [
    "bf16",
    'unknown dtype "bf16"; did you mean "bfloat16"? expected one of bfloat16, float16, float32',
  ],
  [
    "fp16",
    'unknown dtype "fp16"; did you mean "float16"? expected one of bfloat16, float16, float32',
  ],
  [
    "blfoat16",
    'unknown dtype "blfoat16"; did you mean "bfloat16"? expected one of bfloat16, float16, float32',
  ],
  [
    "torch.int64",
    "int64 would destroy fractional weights; expected one of bfloat16, float16, float32",
  ],
  ["[a]", "expected text, got a list"],
  ["16", 'expected text, got "16", which YAML reads as a number; put it in quotes'],
];

for (const [dtype, problem] of DTYPES) {
  for (const key of ["dtype", "out_dtype"]) {
    test(`${key}: ${dtype} is refused`, () => {
      const text = `merge_method: passthrough\nmodels: [{model: a}]\n${key}: ${dtype}\n`;
      assert.deepEqual(told(text), [`3:${key.length + 3}: error: ${key}: ${problem}`]);
    });
  }
}
