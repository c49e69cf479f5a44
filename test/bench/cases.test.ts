import assert from "node:assert/strict";
import { test } from "node:test";
import { benchCases, METHODS } from "./cases.js";

const shapeOf = (layers: number) => ({
  layers,
  hidden: 64,
  intermediate: 160,
  heads: 4,
  keyValueHeads: 2,
  vocabulary: 512,
  tied: false,
});

function casesOf(layers: number) {
  const shape = shapeOf(layers);
  const shapes = { large: shape, ties: shape, dare: shape };
  return benchCases({ methods: METHODS, shapes, modelPath: (_, model) => model });
}

function ranges(recipe: string): readonly (readonly number[])[] {
  return [...recipe.matchAll(/\[(\d+), (\d+)\]/g)].map(([, from, to]) => [
    Number(from),
    Number(to),
  ]);
}

test("80 layers are stacked to 120 in the slices of the well-known recipe", () => {
  const stack = casesOf(80).find(({ name }) => name === "passthrough, stack");
  assert.deepEqual(ranges(stack?.recipe ?? ""), [
    [0, 40],
    [20, 60],
    [40, 80],
  ]);
});

for (const layers of [4, 5, 10, 11]) {
  test(`the slices of ${layers} stacked layers overlap and cover all`, () => {
    const stack = casesOf(layers).find(({ name }) => name === "passthrough, stack");
    const [a = [], b = [], c = []] = ranges(stack?.recipe ?? "");
    assert.equal(a[0], 0);
    assert.equal(c[1], layers);
    assert.ok((b[0] ?? layers) < (a[1] ?? 0) && (c[0] ?? layers) < (b[1] ?? 0));
  });
}

test("every input of a case is named by its recipe", () => {
  for (const { name, inputs, recipe } of casesOf(8)) {
    for (const input of inputs) assert.match(recipe, new RegExp(`model: ${input}\n`), name);
  }
});

test("dare_ties merges fourteen fine-tunes with weights that sum to one", () => {
  const dare = casesOf(8).find(({ method }) => method === "dare_ties");
  const weights = [...(dare?.recipe ?? "").matchAll(/weight: ([\d.]+)/g)].map(([, w]) => Number(w));
  assert.equal(weights.length, 14);
  assert.ok(Math.abs(weights.reduce((sum, weight) => sum + weight, 0) - 1) < 1e-3);
});
