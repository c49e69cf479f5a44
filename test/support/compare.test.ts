// A comparator that accepts everything would pass every suite. So: each expected result passes
// against itself, and each kind of damage to it is found.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { compareConfigs, readCase } from "./compare.js";
import { compareAggregate, compareSingleMask } from "./compare-stats.js";
import { compareTensors, type Expectation } from "./compare-tensors.js";
import { normals } from "./random.js";
import { ROOT } from "./run.js";
import { readCheckpoint, type Tensors, tensorOf } from "./safetensors.js";

const CASES = join(ROOT, "test", "golden", "cases");

const values = [...normals(64, 7)];
const expectation = (toleranceClass: "fp32" | "bf16" | "fp16" | "exact-copy"): Expectation => ({
  toleranceClass,
  expected: new Map([["w", tensorOf(dtypes[toleranceClass], [8, 8], values)]]),
  reference: null,
  tolerance: 2e-6,
  dontcare: null,
});
const dtypes = { fp32: "F32", bf16: "BF16", fp16: "F16", "exact-copy": "F32" } as const;

const scale = Math.max(...values.map(Math.abs));
const changed = (by: (value: number, i: number) => number, dtype: string): Tensors =>
  new Map([["w", tensorOf(dtype, [8, 8], values.map(by))]]);
const at = (index: number, replacement: (value: number) => number) => (value: number, i: number) =>
  i === index ? replacement(value) : value;

const DAMAGE = [
  ["fp32 error below the tolerance", "fp32", at(3, (x) => x + 1e-6 * scale), true],
  ["fp32 error above the tolerance", "fp32", at(3, (x) => x + 4e-6 * scale), false],
  ["fp32 NaN", "fp32", at(3, () => Number.NaN), false],
  ["fp32 infinity", "fp32", at(3, () => Infinity), false],
  ["bf16 one ulp", "bf16", at(5, (x) => x * (1 + 2 ** -8)), true],
  ["bf16 three ulps", "bf16", at(5, (x) => x * (1 + 3 * 2 ** -7)), false],
  ["fp16 three ulps", "fp16", at(5, (x) => x * (1 + 3 * 2 ** -10)), false],
  ["exact copy, last bit", "exact-copy", at(9, (x) => x * (1 + 2 ** -22)), false],
  ["exact copy, untouched", "exact-copy", (x: number) => x, true],
] as const;

for (const [name, toleranceClass, by, passes] of DAMAGE) {
  test(`${name} ${passes ? "passes" : "is found"}`, () => {
    const output = changed(by, dtypes[toleranceClass]);
    const problems = compareTensors(expectation(toleranceClass), output);
    assert.equal(problems.length === 0, passes, JSON.stringify(problems));
  });
}

test("missing, extra, misshapen and mistyped tensors are found", () => {
  const w = tensorOf("F32", [8, 8], values);
  const problem = (output: Tensors) => compareTensors(expectation("fp32"), output)[0]?.message;
  assert.equal(problem(new Map()), "missing");
  assert.equal(
    problem(
      new Map([
        ["w", w],
        ["x", w],
      ]),
    ),
    "unexpected tensor",
  );
  assert.match(problem(new Map([["w", { ...w, shape: [64] }]])) ?? "", /shape/);
  assert.match(problem(changed((x) => x, "F16")) ?? "", /dtype/);
});

test("an element marked dontcare is not compared", () => {
  const marks = values.map((_, i) => (i === 3 ? 1 : 0));
  const dontcare = new Map([["w", tensorOf("U8", [8, 8], marks)]]);
  const output = changed(
    at(3, () => 100),
    "F32",
  );
  assert.deepEqual(compareTensors({ ...expectation("fp32"), dontcare }, output), []);
});

test("16-bit output is judged by the rounded reference, not by the expected file", () => {
  const reference = new Map([["w", tensorOf("F32", [8, 8], values)]]);
  const expected = changed((x) => x * 1.05, "BF16");
  const output = changed((x) => x, "BF16");
  assert.deepEqual(compareTensors({ ...expectation("bf16"), expected, reference }, output), []);
});

test("per-expert and stacked layouts compare as equal", () => {
  const matrix = (seed: number) => tensorOf("F32", [2, 3], normals(6, seed));
  const experts = [0, 1].map((i) => [matrix(i), matrix(10 + i), matrix(20 + i)] as const);
  const separate: Tensors = new Map();
  for (const [i, [gate, up, down]] of experts.entries()) {
    const prefix = `model.layers.0.block_sparse_moe.experts.${i}`;
    separate.set(`${prefix}.w1.weight`, gate).set(`${prefix}.w3.weight`, up);
    separate.set(`${prefix}.w2.weight`, { ...down, shape: [3, 2] });
  }
  const joined = (pick: (e: (typeof experts)[number]) => readonly { bytes: Uint8Array }[]) =>
    Buffer.concat(experts.flatMap((e) => pick(e).map(({ bytes }) => bytes)));
  const stacked: Tensors = new Map([
    [
      "model.layers.0.mlp.experts.gate_up_proj",
      { dtype: "F32", shape: [2, 4, 3], bytes: joined(([gate, up]) => [gate, up]) },
    ],
    [
      "model.layers.0.mlp.experts.down_proj",
      { dtype: "F32", shape: [2, 3, 2], bytes: joined(([, , down]) => [down]) },
    ],
  ]);
  const exact = { ...expectation("exact-copy"), expected: stacked };
  assert.deepEqual(compareTensors(exact, separate), []);
});

test("config differences are found, free keys are not", () => {
  const config = { num_hidden_layers: 4, torch_dtype: "bfloat16", use_cache: true };
  assert.deepEqual(compareConfigs(config, { num_hidden_layers: 4, dtype: "bfloat16" }, []), []);
  assert.equal(compareConfigs(config, { num_hidden_layers: 5, dtype: "float32" }, []).length, 2);
});

test("a single mask with the wrong rate or a wrong factor is found", () => {
  const count = 4096;
  const base = new Map([["w", tensorOf("F32", [count], normals(count, 1))]]);
  const noise = normals(count, 2);
  const plus = (factor: (i: number) => number): Tensors => {
    const origin = normals(count, 1);
    const sum = origin.map((x, i) => Math.fround(Math.fround(x) + factor(i) * (noise[i] ?? 0)));
    return new Map([["w", tensorOf("F32", [count], sum)]]);
  };
  const stats = {
    kind: "single_mask",
    base: "",
    model: "",
    weight: 1,
    keep_rate: 0.5,
    rescale: false,
    z_max: 5,
    relative_tolerance: 2e-5,
  } as const;
  const judge = (factor: (i: number) => number) =>
    compareSingleMask(
      stats,
      base,
      plus(() => 1),
      plus(factor),
    ).length === 0;
  assert.ok(judge((i) => i % 2));
  assert.ok(!judge((i) => (i % 3 === 0 ? 1 : 0)));
  assert.ok(!judge((i) => (i % 2) * 1.001));
});

test("an aggregate outside its tolerance is found", () => {
  const base = new Map([["w", tensorOf("F32", [4], [0, 0, 0, 0])]]);
  const full = new Map([["w", tensorOf("F32", [4], [1, 1, 1, 1])]]);
  const output = new Map([["w", tensorOf("F32", [4], [2, 0, 2, 0])]]);
  const judge = (mean: number) => {
    const metrics = { changed_fraction: { mean, tolerance: 0.01 } };
    return compareAggregate({ kind: "aggregate", base: "", full: "", metrics }, base, full, output);
  };
  assert.deepEqual(judge(0.5), []);
  assert.equal(judge(0.6).length, 1);
});

test("every expected result passes against itself", () => {
  for (const id of readdirSync(CASES)) {
    const golden = readCase(join(CASES, id));
    const { tolerance_class: toleranceClass } = golden;
    if (toleranceClass === "stats" || toleranceClass === "refusal") continue;
    const expected = readCheckpoint(join(CASES, id, "expected"));
    const reference =
      golden.reference32 === undefined ? null : readCheckpoint(join(CASES, id, golden.reference32));
    const rules = { toleranceClass, expected, reference, tolerance: 2e-6, dontcare: null };
    assert.deepEqual(compareTensors(rules, expected), [], id);
  }
});
