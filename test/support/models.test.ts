import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { SMALL_SHAPE } from "./fixtures.js";
import { type ModelOptions, makeModel } from "./models.js";
import { temporaryDirectory } from "./run.js";
import { decode, readCheckpoint } from "./safetensors.js";

const options = (directory: string): ModelOptions => ({
  directory,
  shape: SMALL_SHAPE,
  dtype: "F32",
  seed: 3,
  shardSizeBytesMax: 400_000,
});

test("shards respect the limit and the index tells their total size", (context) => {
  const directory = makeModel(options(join(temporaryDirectory(context), "model")));
  const shards = readdirSync(directory).filter((name) => name.endsWith(".safetensors"));
  assert.ok(shards.length > 2, shards.join());
  for (const shard of shards) assert.ok(statSync(join(directory, shard)).size < 420_000, shard);
  const index = JSON.parse(readFileSync(join(directory, "model.safetensors.index.json"), "utf8"));
  const tensors = readCheckpoint(directory);
  assert.equal(tensors.size, 4 * 9 + 3);
  const total = [...tensors.values()].reduce((sum, { bytes }) => sum + bytes.length, 0);
  assert.equal(index.metadata.total_size, total);
});

test("a fine-tune differs from its base in the given share, by the given noise", (context) => {
  const parent = temporaryDirectory(context);
  const base = readCheckpoint(makeModel(options(join(parent, "base"))));
  const fineTuneOf = { baseSeed: 3, noise: 0.01, share: 0.25 };
  const tuned = makeModel({ ...options(join(parent, "tuned")), seed: 4, fineTuneOf });
  const differences = [...readCheckpoint(tuned)].flatMap(([name, tensor]) => {
    const before = base.get(name);
    assert.ok(before !== undefined, name);
    const origin = decode(before);
    return [...decode(tensor)].map((value, i) => value - (origin[i] ?? 0));
  });
  const changed = differences.filter((difference) => difference !== 0);
  const share = changed.length / differences.length;
  assert.ok(Math.abs(share - 0.25) < 0.02, `${share}`);
  const deviation = Math.sqrt(changed.reduce((sum, x) => sum + x * x, 0) / changed.length);
  assert.ok(Math.abs(deviation - 0.01) < 0.0005, `${deviation}`);
});

test("the same seed gives the same bytes, another one others", (context) => {
  const parent = temporaryDirectory(context);
  const head = (name: string, seed: number): Uint8Array => {
    const directory = makeModel({ ...options(join(parent, name)), seed });
    return readCheckpoint(directory).get("lm_head.weight")?.bytes ?? new Uint8Array();
  };
  const first = head("a", 3);
  assert.deepEqual(head("b", 3), first);
  assert.notDeepEqual(head("c", 4), first);
});
