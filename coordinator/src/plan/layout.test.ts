import assert from "node:assert/strict";
import { test } from "node:test";
import { Dtype } from "@graft/proto";
import { inventModel, planOf } from "./invented-models.js";
import { ALIGNMENT_BYTES } from "./layout.js";

const { DTYPE_BF16, DTYPE_F32, DTYPE_U8 } = Dtype;
const recipe = "merge_method: passthrough\nmodels: [{model: m}]";

function filesOf(tensors: readonly (readonly [string, number, Dtype])[], maxShardSizeBytes = 1e9) {
  const model = inventModel({
    reference: "m",
    config: null,
    tensors: tensors.map(([name, size, dtype]) => ({ name, shape: [size], dtype })),
  });
  return planOf(recipe, [model], { maxShardSizeBytes });
}

test("the header describes every tensor in file order and ends on a block", () => {
  const { files } = filesOf([
    ["odd", 3, DTYPE_BF16],
    ["block", 2048, DTYPE_BF16],
    ["7", 5, DTYPE_F32],
  ]);
  const [file] = files;
  assert.ok(file !== undefined);
  assert.equal(file.name, "model.safetensors");
  assert.equal(file.header.length % ALIGNMENT_BYTES, 0);
  const length = new DataView(file.header.buffer).getBigUint64(0, true);
  assert.equal(Number(length), file.header.length - 8);
  const text = new TextDecoder().decode(file.header.subarray(8));
  assert.equal(
    text.trimEnd(),
    '{"__metadata__":{"format":"pt"},' +
      '"block":{"dtype":"BF16","shape":[2048],"data_offsets":[0,4096]},' +
      '"7":{"dtype":"F32","shape":[5],"data_offsets":[4096,4116]},' +
      '"odd":{"dtype":"BF16","shape":[3],"data_offsets":[4116,4122]}}',
  );
  assert.equal(file.sizeBytes, file.header.length + 4122);
  assert.deepEqual(
    file.tensors.map(({ offsetBytes }) => offsetBytes - file.header.length),
    [0, 4096, 4116],
  );
});

test("whole blocks come first, so that each of them starts on a block", () => {
  const { files } = filesOf([
    ["a", 10, DTYPE_U8],
    ["b", 4096, DTYPE_U8],
    ["c", 11, DTYPE_U8],
    ["d", 8192, DTYPE_U8],
  ]);
  const tensors = files[0]?.tensors ?? [];
  assert.deepEqual(
    tensors.map(({ name }) => name),
    ["b", "d", "a", "c"],
  );
  for (const { offsetBytes, lengthBytes } of tensors) {
    if (lengthBytes % ALIGNMENT_BYTES === 0) assert.equal(offsetBytes % ALIGNMENT_BYTES, 0);
  }
});

test("every element starts at a multiple of its own size", () => {
  const { files } = filesOf([
    ["bytes", 3, DTYPE_U8],
    ["halves", 5, DTYPE_BF16],
    ["words", 5, DTYPE_F32],
  ]);
  const sizes = new Map([
    [DTYPE_U8, 1],
    [DTYPE_BF16, 2],
    [DTYPE_F32, 4],
  ] as const);
  for (const { dtype, offsetBytes } of files[0]?.tensors ?? []) {
    assert.equal(offsetBytes % (sizes.get(dtype as typeof DTYPE_U8) ?? 1), 0);
  }
});

test("shards are cut before the bound; a larger tensor gets one of its own", () => {
  const plan = filesOf(
    [
      ["a", 60, DTYPE_U8],
      ["b", 40, DTYPE_U8],
      ["c", 1, DTYPE_U8],
      ["huge", 500, DTYPE_U8],
      ["z", 100, DTYPE_U8],
    ],
    100,
  );
  const shards = plan.files.map(({ name, tensors }) => [
    name,
    tensors.map((tensor) => tensor.name),
  ]);
  assert.deepEqual(shards, [
    ["model-00001-of-00004.safetensors", ["a", "b"]],
    ["model-00002-of-00004.safetensors", ["c"]],
    ["model-00003-of-00004.safetensors", ["huge"]],
    ["model-00004-of-00004.safetensors", ["z"]],
  ]);
  assert.equal(
    plan.indexText,
    `{
  "metadata": {
    "total_size": 701
  },
  "weight_map": {
    "a": "model-00001-of-00004.safetensors",
    "b": "model-00001-of-00004.safetensors",
    "c": "model-00002-of-00004.safetensors",
    "huge": "model-00003-of-00004.safetensors",
    "z": "model-00004-of-00004.safetensors"
  }
}
`,
  );
});

test("names that are keywords or numbers of JavaScript survive", () => {
  const plan = filesOf(
    [
      ["__proto__", 4, DTYPE_U8],
      ["10", 4, DTYPE_U8],
      ["9", 4, DTYPE_U8],
    ],
    4,
  );
  const names = plan.files.flatMap(({ tensors }) => tensors.map(({ name }) => name));
  assert.deepEqual(names, ["__proto__", "10", "9"]);
  assert.match(plan.indexText ?? "", /"10": .*\n.*"9": .*\n.*"__proto__": /);
});

test("embeddings come first, then the layers in number order, then the rest", () => {
  const { files } = filesOf([
    ["lm_head.weight", 4, DTYPE_U8],
    ["model.layers.10.b", 4, DTYPE_U8],
    ["model.layers.10.a", 4, DTYPE_U8],
    ["model.layers.2.a", 4, DTYPE_U8],
    ["model.layers.2.b", 4, DTYPE_U8],
    ["model.embed_tokens.weight", 4, DTYPE_U8],
    ["model.norm.weight", 4, DTYPE_U8],
  ]);
  assert.deepEqual(
    files[0]?.tensors.map(({ name }) => name),
    [
      "model.embed_tokens.weight",
      "model.layers.2.b",
      "model.layers.2.a",
      "model.layers.10.b",
      "model.layers.10.a",
      "lm_head.weight",
      "model.norm.weight",
    ],
  );
});
