// Models as they really arrive: cut off, unpacked wrongly, tampered with. Everything is refused before
// a weight byte is read, with exit code 2, a message that names the file, and no output directory.
import assert from "node:assert/strict";
import {
  existsSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { test } from "node:test";
import { makeSmallModels, RECIPES } from "../support/fixtures.js";
import { runCli, temporaryDirectory, transcript, writeRecipe } from "../support/run.js";
import { encodeFile, readTensorFile, tensorOf } from "../support/safetensors.js";

const SHARD = "model-00001-of-00002.safetensors";
const INDEX = "model.safetensors.index.json";

interface Index {
  readonly weight_map: Record<string, string>;
}

function editIndex(model: string, edit: (map: Record<string, string>) => void): void {
  const path = join(model, INDEX);
  const index = JSON.parse(readFileSync(path, "utf8")) as Index;
  edit(index.weight_map);
  writeFileSync(path, JSON.stringify(index));
}

const shardSize = (model: string): number => readFileSync(join(model, SHARD)).length;

function headerOf(text: string): Uint8Array {
  const header = Buffer.from(text);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, header]);
}

const LFS_POINTER =
  "version https://git-lfs.github.com/spec/v1\n" +
  "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";

const DUPLICATE =
  '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},' +
  '"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}';

/** What is wrong, how it is done to a model directory, what the message must contain. */
const DAMAGE: readonly (readonly [string, (model: string) => void, readonly RegExp[]])[] = [
  [
    "a shard cut off by one byte",
    (model) => truncateSync(join(model, SHARD), shardSize(model) - 1),
    [new RegExp(SHARD), /\d+ bytes/],
  ],
  ["an empty shard", (model) => truncateSync(join(model, SHARD), 0), [new RegExp(SHARD)]],
  [
    "bytes after the last tensor",
    (model) => writeFileSync(join(model, SHARD), "x", { flag: "a" }),
    [new RegExp(SHARD)],
  ],
  [
    "a Git LFS pointer instead of weights",
    (model) => writeFileSync(join(model, SHARD), LFS_POINTER),
    [new RegExp(SHARD), /git lfs pull/],
  ],
  [
    "a header length beyond the file",
    (model) => writeFileSync(join(model, SHARD), Buffer.alloc(16, 0xff)),
    [new RegExp(SHARD), /header length/],
  ],
  [
    "a tensor listed twice",
    (model) =>
      writeFileSync(join(model, SHARD), Buffer.concat([headerOf(DUPLICATE), Buffer.of(0)])),
    [new RegExp(SHARD), /twice/],
  ],
  [
    "an index that points outside the model",
    (model) =>
      editIndex(model, (map) => {
        for (const name of Object.keys(map)) map[name] = `../${basename(model)}/${SHARD}`;
      }),
    [/index\.json/, /\.\.\//],
  ],
  [
    "an index that names a missing shard",
    (model) => rmSync(join(model, SHARD)),
    [/index\.json/, new RegExp(SHARD), /1 of 2/],
  ],
  [
    "an index with a tensor that its shard lacks",
    (model) =>
      editIndex(model, (map) => {
        map["model.extra.weight"] = SHARD;
      }),
    [/model\.extra\.weight/],
  ],
  [
    "an index that forgets a tensor",
    (model) =>
      editIndex(model, (map) => {
        delete map["model.norm.weight"];
      }),
    [/model\.norm\.weight/],
  ],
  ["an index that is not JSON", (model) => writeFileSync(join(model, INDEX), "{"), [/index\.json/]],
  [
    "a config that is not JSON",
    (model) => writeFileSync(join(model, "config.json"), "{"),
    [/config\.json/],
  ],
  [
    "a shard that is a link to a place outside",
    (model) => {
      rmSync(join(model, SHARD));
      symlinkSync("/etc/hostname", join(model, SHARD));
    },
    [new RegExp(SHARD)],
  ],
  [
    "no weights at all",
    (model) => {
      rmSync(join(model, SHARD));
      rmSync(join(model, "model-00002-of-00002.safetensors"));
      rmSync(join(model, INDEX));
    },
    [/tuned-01/, /model\.safetensors/],
  ],
];

for (const [name, damage, patterns] of DAMAGE) {
  test(`${name} is refused by name`, async (context) => {
    const directory = temporaryDirectory(context);
    makeSmallModels(directory);
    damage(join(directory, "tuned-01"));
    const recipe = writeRecipe(directory, RECIPES.slerp(["tuned-01"]));
    const out = join(directory, "merged");
    const result = await runCli(["submit", recipe, "--out", out]);
    assert.equal(result.exitCode, 2, transcript(result));
    for (const pattern of [/tuned-01/, ...patterns]) assert.match(result.stderr, pattern);
    assert.doesNotMatch(result.stderr, /^\s+at /m, "a stack trace");
    assert.ok(!existsSync(out) && !existsSync(`${out}.graft`), "something was written");
  });
}

test("NaN in an input is reported by tensor and model, and kept as it is", async (context) => {
  const directory = temporaryDirectory(context);
  makeSmallModels(directory);
  const path = join(directory, "tuned-01", SHARD);
  const tensors = readTensorFile(path);
  const name = [...tensors.keys()].find((key) => key.includes("up_proj")) ?? "";
  const shape = tensors.get(name)?.shape ?? [];
  const values = Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) =>
    i === 17 ? Number.NaN : 0.5,
  );
  tensors.set(name, tensorOf("BF16", shape, values));
  writeFileSync(path, encodeFile(tensors));
  const recipe = writeRecipe(directory, RECIPES.linear(["tuned-01"]));
  const result = await runCli(["submit", recipe, "--out", join(directory, "merged")]);
  assert.equal(result.exitCode, 0, transcript(result));
  const said = result.stdout + result.stderr;
  assert.ok(said.includes(name), `${name} is not named:\n${said}`);
  assert.match(said, /tuned-01/);
  assert.match(said, /NaN|not finite|non-finite/i);
});

const MANY_ERRORS = `merge_metod: slerp
models:
  - model: base
    parameters:
      wieght: 0.5
  - model: tuned-01
    paramters: {}
dtype: bfloat17
parameters:
  t: soon
`;

/** Line and column of the fault, given spelling, nearest spelling. */
const FAULTS: readonly (readonly [string, RegExp])[] = [
  ["1:1", /merge_metod.*merge_method/],
  ["7:5", /paramters.*parameters/],
  ["8:8", /bfloat17/],
];

test("all errors of a recipe are reported at once, each at its line and column", async (context) => {
  const directory = temporaryDirectory(context);
  makeSmallModels(directory);
  const recipe = writeRecipe(directory, MANY_ERRORS);
  const result = await runCli(["check", recipe]);
  assert.equal(result.exitCode, 2, transcript(result));
  for (const [position, pattern] of FAULTS) {
    const line = result.stderr
      .split("\n")
      .find((text) => text.includes(`recipe.yaml:${position}:`));
    assert.match(line ?? `nothing at ${position}:\n${result.stderr}`, pattern);
  }
});
