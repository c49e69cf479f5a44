import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { readHeader } from "@graft/native";
import { type DescribeModelResponse, Dtype, type ErrorCode, type GraftError } from "@graft/proto";
import { toGraftError } from "../errors.js";
import {
  floatFile,
  indexText,
  LFS_POINTER,
  SKIP_WITHOUT_ADDON,
  temporaryFolder,
  writeTree,
} from "../test-models.js";
import { describeModel } from "./describe.js";

const CONFIG = '{"model_type": "llama"}';
const skip = SKIP_WITHOUT_ADDON;

async function describe(folder: string): Promise<DescribeModelResponse[]> {
  const responses: DescribeModelResponse[] = [];
  const request = { reference: folder, searchDirectories: [] };
  for await (const response of describeModel(request, { readHeader })) responses.push(response);
  return responses;
}

async function refusal(folder: string): Promise<GraftError> {
  try {
    await describe(folder);
  } catch (error) {
    return toGraftError(error);
  }
  return assert.fail("expected a refusal");
}

const ONE = floatFile({ a: [1, 2] });
const TWO = floatFile({ b: [3], c: [] });
const SHARDED = {
  "config.json": CONFIG,
  "model.safetensors.index.json": indexText({
    a: "m-1.safetensors",
    b: "m-2.safetensors",
    c: "m-2.safetensors",
  }),
  "m-1.safetensors": ONE,
  "m-2.safetensors": TWO,
};

test("a sharded model is described with pins, tensors and side files", { skip }, async (t) => {
  const folder = writeTree(temporaryFolder(t), {
    ...SHARDED,
    "model.safetensors": ONE,
    "tokenizer.json": "{}",
    "pytorch_model.bin": "x",
    "extra/y": "",
  });
  const [first, second, ...rest] = await describe(folder);
  assert.equal(rest.length, 0);
  assert.ok(first?.part?.$case === "model" && second?.part?.$case === "tensors");
  const model = first.part.value;
  assert.equal(model.directory, folder);
  assert.equal(model.configJson.toString(), CONFIG);
  assert.equal(model.tensorCount, 3n);
  assert.deepEqual(model.sideFiles, [
    { name: "config.json", sizeBytes: BigInt(CONFIG.length) },
    { name: "tokenizer.json", sizeBytes: 2n },
  ]);
  assert.deepEqual(model.notes, [
    "extra: a directory, not copied",
    "model.safetensors: weights that are not read",
    "pytorch_model.bin: weights that are not read",
  ]);
  const stats = statSync(join(folder, "m-1.safetensors"), { bigint: true });
  const [shard] = model.weightFiles;
  assert.match(shard?.headerDigest ?? "", /^[0-9a-f]{32}$/);
  assert.deepEqual(shard, {
    path: join(folder, "m-1.safetensors"),
    name: "m-1.safetensors",
    sizeBytes: stats.size,
    headerDigest: shard?.headerDigest,
    modifiedTimeNs: stats.mtimeNs,
    inode: stats.ino,
  });
  const dtype = Dtype.DTYPE_F32;
  const headerBytes = (file: Buffer): bigint => 8n + file.readBigUInt64LE();
  const { tensors } = second.part.value;
  assert.deepEqual(
    [...tensors].sort((x, y) => x.name.localeCompare(y.name)),
    [
      {
        name: "a",
        dtype,
        shape: [2n],
        fileIndex: 0,
        offsetBytes: headerBytes(ONE),
        lengthBytes: 8n,
      },
      {
        name: "b",
        dtype,
        shape: [1n],
        fileIndex: 1,
        offsetBytes: headerBytes(TWO),
        lengthBytes: 4n,
      },
      {
        name: "c",
        dtype,
        shape: [0n],
        fileIndex: 1,
        offsetBytes: headerBytes(TWO) + 4n,
        lengthBytes: 0n,
      },
    ],
  );
});

test("a model of many tensors comes in several messages", { skip }, async (t) => {
  const names = Array.from({ length: 4500 }, (_, at) => [`layers.${at}.w`, [at]] as const);
  const file = floatFile(Object.fromEntries(names));
  const folder = writeTree(temporaryFolder(t), { "model.safetensors": file });
  const [model, ...batches] = await describe(folder);
  assert.ok(model?.part?.$case === "model");
  assert.equal(model.part.value.configJson.length, 0);
  const counts = batches.map(({ part }) =>
    part?.$case === "tensors" ? part.value.tensors.length : -1,
  );
  assert.deepEqual(counts, [2000, 2000, 500]);
});

type Tree = Readonly<Record<string, string | Uint8Array>>;
const index = "model.safetensors.index.json";

/** [name, files, code, text of the message]; the addon is not reached. */
const refusedEarly: readonly [string, Tree, ErrorCode, RegExp][] = [
  ["nothing in it", {}, "MODEL_NO_WEIGHTS", /index\.json, and no config\.json$/],
  ["only a config", { "config.json": CONFIG }, "MODEL_NO_WEIGHTS", /index\.json$/],
  ["pickled weights", { "pytorch_model-00001-of-00002.bin": "x" }, "MODEL_PICKLE", /safetensors$/],
  [
    "a config that is a list",
    { "config.json": "[1]" },
    "MODEL_CONFIG",
    /config\.json: expected a JSON/,
  ],
  [
    "a config that is cut",
    { "config.json": '{"a":' },
    "MODEL_CONFIG",
    /config\.json: not valid JSON/,
  ],
  [
    "a config that is not text",
    { "config.json": Buffer.from([0x7b, 0xff]) },
    "MODEL_CONFIG",
    /UTF-8/,
  ],
  ["a config that is a pointer", { "config.json": LFS_POINTER }, "LFS_POINTER", /git lfs pull/],
  ["a config that is a folder", { "config.json/x": "" }, "NOT_A_FILE", /config\.json/],
  ["an index that is a pointer", { [index]: LFS_POINTER }, "LFS_POINTER", /git lfs pull/],
  [
    "an index that leaves it",
    { [index]: indexText({ a: "../x.safetensors" }) },
    "SHARD_NAME",
    /"\.\.\/x/,
  ],
  [
    "a shard that is a folder",
    { [index]: indexText({ a: "x.safetensors" }), "x.safetensors/y": "" },
    "NOT_A_FILE",
    /x\.safetensors/,
  ],
  [
    "missing shards",
    {
      [index]: indexText({ a: "m-1.safetensors", b: "m-2.safetensors", c: "m-3.safetensors" }),
      "m-1.safetensors": "x",
    },
    "MODEL_SHARD_MISSING",
    /index names m-2\.safetensors, which is not there \(2 of 3 shards missing\)/,
  ],
];

/** The same, found in the headers. */
const refusedByHeaders: readonly [string, Tree, ErrorCode, RegExp][] = [
  [
    "weights that are a pointer",
    { "model.safetensors": LFS_POINTER },
    "LFS_POINTER",
    /git lfs pull/,
  ],
  [
    "an empty weight file",
    { "model.safetensors": "" },
    "ST_TOO_SHORT",
    /model\.safetensors: 0 bytes/,
  ],
  [
    "a cut shard",
    { ...SHARDED, "m-1.safetensors": ONE.subarray(0, -1) },
    "ST_TRUNCATED",
    /m-1\.safetensors/,
  ],
  [
    "a tensor the index forgets",
    { ...SHARDED, [index]: indexText({ a: "m-1.safetensors", b: "m-2.safetensors" }) },
    "INDEX_MISSING_TENSOR",
    /1 tensors of m-2\.safetensors are not in weight_map, first: "c"/,
  ],
  [
    "a tensor the index invents",
    { [index]: indexText({ a: "m-1.safetensors", z: "m-1.safetensors" }), "m-1.safetensors": ONE },
    "INDEX_EXTRA_TENSOR",
    /places 1 tensors in m-1\.safetensors, which lacks them: "z"/,
  ],
  [
    "a tensor in two shards",
    { ...SHARDED, "m-2.safetensors": floatFile({ b: [1], c: [], a: [1] }) },
    "ST_DUP_NAME",
    /m-1\.safetensors and m-2\.safetensors: tensor "a"/,
  ],
];

const check = (
  [name, files, code, want]: (typeof refusedEarly)[number],
  skip: string | false,
): void => {
  test(`a model directory with ${name} is refused as ${code}`, { skip }, async (t) => {
    const error = await refusal(writeTree(temporaryFolder(t), files));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, want);
  });
};
for (const row of refusedEarly) check(row, false);
for (const row of refusedByHeaders) check(row, skip);

test("a pipe in place of a file is refused and not waited for", async (t) => {
  const folder = temporaryFolder(t);
  execFileSync("mkfifo", [join(folder, "config.json")]);
  assert.equal((await refusal(folder)).code, "NOT_A_FILE");
});

const CACHE = "hub/models--org--name";

test("the links of a Hugging Face cache are followed", { skip }, async (t) => {
  const folder = writeTree(temporaryFolder(t), {
    [`${CACHE}/blobs/abc`]: ONE,
    [`${CACHE}/blobs/def`]: CONFIG,
    [`${CACHE}/snapshots/1234/README.md`]: "x",
  });
  const snapshot = join(folder, CACHE, "snapshots/1234");
  symlinkSync("../../blobs/abc", join(snapshot, "model.safetensors"));
  symlinkSync("../../blobs/def", join(snapshot, "config.json"));
  symlinkSync(snapshot, join(folder, "model"));
  for (const path of [snapshot, join(folder, "model")]) {
    const [model] = await describe(path);
    assert.ok(model?.part?.$case === "model");
    assert.deepEqual(model.part.value.notes, []);
    assert.equal(model.part.value.weightFiles[0]?.path, join(path, "model.safetensors"));
    assert.equal(model.part.value.configJson.toString(), CONFIG);
  }
});

test("a link to a file in the same directory is followed", { skip }, async (t) => {
  const folder = writeTree(temporaryFolder(t), { "weights.safetensors": ONE });
  symlinkSync("weights.safetensors", join(folder, "model.safetensors"));
  assert.equal((await describe(folder)).length, 2);
});

const outside: readonly [string, string, string][] = [
  ["another directory", "model", "../other/x.safetensors"],
  ["a directory whose name begins the same", "model", "../model2/x.safetensors"],
  ["another repository of the cache", `${CACHE}/snapshots/1`, "../../../models--a--b/blobs/x"],
  ["the cache's bookkeeping", `${CACHE}/snapshots/1`, "../../refs/main"],
];

for (const [name, model, target] of outside) {
  test(`a weight file that links to ${name} is refused`, async (t) => {
    const folder = temporaryFolder(t);
    mkdirSync(join(folder, model), { recursive: true });
    writeTree(folder, { [join(model, target)]: ONE });
    symlinkSync(target, join(folder, model, "model.safetensors"));
    const error = await refusal(join(folder, model));
    assert.equal(error.code, "SHARD_LINK");
    assert.ok(error.message.includes("outside the model directory"));
  });
}

test("side files that lead out or nowhere are noted, not copied", { skip }, async (t) => {
  const folder = writeTree(temporaryFolder(t), { "m/model.safetensors": ONE, secret: "x" });
  symlinkSync("../secret", join(folder, "m/tokenizer.json"));
  symlinkSync("gone", join(folder, "m/vocab.json"));
  symlinkSync("loop", join(folder, "m/loop"));
  const [model] = await describe(join(folder, "m"));
  assert.ok(model?.part?.$case === "model");
  assert.deepEqual(model.part.value.sideFiles, []);
  assert.deepEqual(model.part.value.notes, [
    "loop: a link to nothing, not copied",
    "tokenizer.json: links out of the model directory, not copied",
    "vocab.json: a link to nothing, not copied",
  ]);
});
