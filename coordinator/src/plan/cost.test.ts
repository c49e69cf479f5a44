import assert from "node:assert/strict";
import { test } from "node:test";
import { inputsMax, minimumMemoryBytes, peakMemoryBytes } from "./cost.js";
import { inventModel, planOf } from "./invented-models.js";

const MIB = 1024 * 1024;

function planFor(modelCount: number, elements: number) {
  const references = Array.from({ length: modelCount }, (_, number) => `m${number}`);
  const tensors = [{ name: "w", shape: [elements] }];
  const models = references.map((reference) => inventModel({ reference, tensors }));
  const list = references.map((reference) => `{model: ${reference}}`).join(", ");
  return planOf(`merge_method: linear\nparameters: {weight: 1}\nmodels: [${list}]`, models);
}

test("memory grows with inputs and threads, not with the size of a tensor", () => {
  assert.equal(inputsMax(planFor(3, 10)), 3);
  assert.equal(minimumMemoryBytes(planFor(3, 10), 2), 192 * MIB);
  assert.equal(
    minimumMemoryBytes(planFor(30, 10), 2),
    160 * MIB + 6 * 31 * (0.5 * MIB + 16 * 1024),
  );
  const small = planFor(2, 10);
  const large = planFor(2, 1e12);
  assert.equal(minimumMemoryBytes(small, 4), minimumMemoryBytes(large, 4));
  assert.ok(minimumMemoryBytes(planFor(30, 10), 4) < minimumMemoryBytes(planFor(30, 10), 8));
});

test("the peak keeps to the limit, but never below what is needed", () => {
  const plan = planFor(2, 1e9);
  assert.equal(peakMemoryBytes(plan, 16, 220 * MIB), 220 * MIB);
  assert.equal(peakMemoryBytes(plan, 16, 1), minimumMemoryBytes(plan, 16));
  assert.ok(peakMemoryBytes(plan, 2, 1e12) < 1e9);
});

test("a method that looks twice may keep its inputs, up to 1 GiB", () => {
  const slerp = (elements: number) => {
    const tensors = [{ name: "w", shape: [elements] }];
    const models = ["a", "b"].map((reference) => inventModel({ reference, tensors }));
    const recipe = "merge_method: slerp\nbase_model: a\nparameters: {t: 0.5}\n";
    return planOf(`${recipe}models: [{model: a}, {model: b}]`, models);
  };
  const [once, twice] = [planFor(2, 1e9), slerp(1e9)];
  const more = peakMemoryBytes(twice, 2, 1e12) - peakMemoryBytes(once, 2, 1e12);
  assert.equal(more, 1024 * MIB);
  assert.ok(peakMemoryBytes(slerp(10), 2, 1e12) - peakMemoryBytes(planFor(2, 10), 2, 1e12) < 100);
});
