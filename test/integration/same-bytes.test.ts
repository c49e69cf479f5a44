// One recipe and one set of inputs give one set of bytes: for any number of threads, instruction set
// and tile size the files are the same, and for any shard size the tensors are. All combinations of
// the four run, with the methods taking turns along the way.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { test } from "node:test";
import { availableIsas } from "@graft/native";
import { makeFamily, ODD_SHAPE, RECIPES, type RecipeName } from "../support/fixtures.js";
import { makeModel } from "../support/models.js";
import {
  hashDirectory,
  runCli,
  temporaryDirectory,
  transcript,
  writeRecipe,
} from "../support/run.js";
import { readCheckpoint } from "../support/safetensors.js";

const MIB = 2 ** 20;
const THREADS = [1, 2, 4];
const TILE_BYTES = [MIB, 3 * MIB, 16 * MIB];
const SHARD_SIZES = ["5GB", "20MB", "7MB"];
const METHODS = Object.keys(RECIPES) as readonly RecipeName[];

interface Combination {
  readonly method: RecipeName;
  readonly threads: number;
  readonly isa: string;
  readonly tileBytes: number;
  readonly shardSize: string;
}

/** The step is prime to every list length, so that each method meets each value of each list. */
function combinations(isas: readonly string[]): readonly Combination[] {
  const all = SHARD_SIZES.flatMap((shardSize) =>
    isas.flatMap((isa) =>
      TILE_BYTES.flatMap((tileBytes) =>
        THREADS.map((threads) => ({ shardSize, isa, tileBytes, threads })),
      ),
    ),
  );
  return all.map((combination, i) => ({
    ...combination,
    method: METHODS[i % METHODS.length] ?? "slerp",
  }));
}

/** Digest of all tensors by name, whatever file they are in. */
function tensorDigest(directory: string): string {
  const hash = createHash("sha256");
  const tensors = [...readCheckpoint(directory)].sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [name, tensor] of tensors) {
    hash.update(`${name} ${tensor.dtype} ${tensor.shape.join()}\n`).update(tensor.bytes);
  }
  return hash.digest("hex");
}

const weights = (files: ReadonlyMap<string, string>) =>
  [...files].filter(([name]) => name.startsWith("model"));

test("threads, instruction set, tile and shard size do not change a byte", async (context) => {
  const directory = temporaryDirectory(context);
  const names = [
    ...makeFamily({
      directory,
      shape: ODD_SHAPE,
      dtype: "BF16",
      fineTunes: 2,
      shardSizeBytesMax: 2e7,
    }),
    "single",
  ];
  // One input in another dtype, so that conversion is part of it.
  makeModel({
    directory: join(directory, "single"),
    shape: ODD_SHAPE,
    dtype: "F32",
    seed: 5,
    shardSizeBytesMax: 5e9,
  });
  for (const method of METHODS) writeRecipe(directory, RECIPES[method](names), `${method}.yaml`);

  const isas = availableIsas();
  context.diagnostic(`instruction sets: ${isas.join(", ")}`);
  const filesOf = new Map<string, unknown>();
  const tensorsOf = new Map<string, string>();
  for (const combination of combinations(isas)) {
    const { method, threads, isa, tileBytes, shardSize } = combination;
    const label = JSON.stringify(combination);
    const out = join(directory, "out");
    const flags = ["--threads", `${threads}`, "--max-shard-size", shardSize, "--force"];
    const result = await runCli(
      ["submit", join(directory, `${method}.yaml`), "--out", out, ...flags],
      {
        env: { GRAFT_ISA: isa, GRAFT_TILE_BYTES: `${tileBytes}` },
      },
    );
    assert.equal(result.exitCode, 0, `${label}\n${transcript(result)}`);
    const files = weights(hashDirectory(out));
    const tensors = tensorDigest(out);
    const group = `${method} ${shardSize}`;
    if (!filesOf.has(group)) filesOf.set(group, files);
    if (!tensorsOf.has(method)) tensorsOf.set(method, tensors);
    assert.deepEqual(files, filesOf.get(group), `files differ: ${label}`);
    assert.equal(tensors, tensorsOf.get(method), `tensors differ: ${label}`);
  }
  assert.equal(tensorsOf.size, METHODS.length);
});
