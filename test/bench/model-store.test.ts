import assert from "node:assert/strict";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { temporaryDirectory } from "../support/run.js";
import { decode, readCheckpoint } from "../support/safetensors.js";
import { weightSizes } from "./contenders.js";
import { makeModels, shapeName, shapeOfSize } from "./model-store.js";

const GIB = 2 ** 30;

const SHAPES: readonly (readonly [string, number, number, number, number, boolean])[] = [
  ["a large model", 4 * GIB, 4, 4096, 10, false],
  ["one of fifteen", 0.6 * GIB, 1, 4096, 1, true],
  ["a model to try with", GIB / 4, 4, 1024, 10, false],
];

for (const [name, size, minLayers, hidden, layers, tied] of SHAPES) {
  test(`the shape of ${name}`, () => {
    const shape = shapeOfSize(size, minLayers);
    assert.deepEqual([shape.hidden, shape.layers, shape.tied], [hidden, layers, tied]);
  });
}

test("a size below the smallest model is refused", () => {
  assert.throws(() => shapeOfSize(1000, 1), /1000 bytes: too small/);
});

test("models are made once, and again when one is unfinished", (context) => {
  const directory = temporaryDirectory(context);
  const shape = shapeOfSize(6e6, 1);
  const said: string[] = [];
  const make = (): void =>
    makeModels({
      directory,
      sets: [{ shape, fineTunes: 1, other: false }],
      spareBytes: 0,
      say: (line) => said.push(line),
    });
  make();
  assert.equal(said.length, 2);
  make();
  assert.equal(said.length, 2);
  const base = join(directory, shapeName(shape), "base");
  const [size = 0] = weightSizes(base);
  assert.ok(size > 3e6 && size < 6.1e6, `${size} bytes`);
  rmSync(base, { recursive: true });
  mkdirSync(base);
  writeFileSync(join(base, "model.safetensors"), "left over");
  make();
  assert.equal(said.length, 3);
  assert.deepEqual(weightSizes(base), [size]);
});

test("deltas of a fine-tune are a few steps of bfloat16: some zero, most not, many equal", (context) => {
  const directory = temporaryDirectory(context);
  const shape = shapeOfSize(6e6, 1);
  const sets = [{ shape, fineTunes: 1, other: false }];
  makeModels({ directory, sets, spareBytes: 0, say: () => undefined });
  const values = (model: string): Float64Array => {
    const tensor = readCheckpoint(join(directory, shapeName(shape), model)).get(
      "model.embed_tokens.weight",
    );
    assert.ok(tensor !== undefined);
    return decode(tensor);
  };
  const base = values("base");
  const deltas = values("tuned-01").map((value, i) => value - (base[i] ?? 0));
  const zeros = deltas.filter((delta) => delta === 0).length / deltas.length;
  assert.ok(zeros > 0.01 && zeros < 0.5, `${zeros} of the deltas are zero`);
  assert.ok(new Set(deltas).size < deltas.length / 10);
});
