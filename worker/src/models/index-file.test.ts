import assert from "node:assert/strict";
import { test } from "node:test";
import { GraftError } from "@graft/proto";
import { isShardName, parseIndex } from "./index-file.js";

const refusedNames: readonly [string, string][] = [
  ["a parent directory", "../x.safetensors"],
  ["an absolute path", "/etc/passwd"],
  ["an absolute path with the suffix", "/etc/x.safetensors"],
  ["a sub-directory", "a/b.safetensors"],
  ["a Windows parent directory", "..\\x.safetensors"],
  ["a Windows path", "C:\\x.safetensors"],
  ["a drive letter", "C:x.safetensors"],
  ["a NUL", "x\0.safetensors"],
  ["a NUL that hides a suffix", "/etc/passwd\0.safetensors"],
  ["a newline", "x\n.safetensors"],
  ["a percent-escaped parent with a separator", "%2e%2e/x.safetensors"],
  ["300 characters", `${"x".repeat(288)}.safetensors`],
  ["a division slash", "a\u2215b.safetensors"],
  ["a fullwidth slash", "a\uff0fb.safetensors"],
  ["a right-to-left mark", "a\u202eb.safetensors"],
  ["a trailing dot", "model.safetensors."],
  ["a trailing space", "model.safetensors "],
  ["another suffix", "pytorch_model.bin"],
  ["nothing", ""],
  ["a dot", "."],
  ["two dots", ".."],
];

for (const [name, shard] of refusedNames) {
  test(`a shard name with ${name} is refused`, () => {
    const text = JSON.stringify({ weight_map: { a: shard } });
    assert.throws(
      () => parseIndex(text, "/m/index"),
      (error) => error instanceof GraftError && error.code === "SHARD_NAME",
    );
  });
}

test("the names that models have are accepted", () => {
  for (const name of [
    "model-00001-of-00010.safetensors",
    "model.safetensors",
    `${"x".repeat(243)}.safetensors`,
    "%2e%2e.safetensors",
    "a b+c,d.safetensors",
  ]) {
    assert.ok(isShardName(name), name);
  }
});

test("the refusal quotes and cuts the hostile name", () => {
  const shard = `\u001b[31m${"x".repeat(400)}/../`;
  const text = JSON.stringify({ weight_map: { a: shard } });
  assert.throws(
    () => parseIndex(text, "/m/index"),
    (error) =>
      error instanceof GraftError &&
      error.message.startsWith('/m/index: weight_map names "\\u001b[31mxxx') &&
      error.message.length < 300,
  );
});

const damaged: readonly [string, string, RegExp][] = [
  ["cut text", '{"weight_map": {"a": "x.safe', /not valid JSON/],
  ["a list", "[]", /expected a JSON object/],
  ["null", "null", /expected a JSON object/],
  ["no weight_map", '{"metadata": {}}', /weight_map: expected an object/],
  ["a list as weight_map", '{"weight_map": []}', /weight_map: expected an object/],
  ["an empty weight_map", '{"weight_map": {}}', /weight_map is empty/],
  ["a number as shard", '{"weight_map": {"a": 1}}', /"a": expected a file name/],
  ["a null shard", '{"weight_map": {"a": null}}', /"a": expected a file name/],
  [
    "a tensor twice",
    '{"weight_map": {"a": "x.safetensors", "b": "x.safetensors", "a": "y.safetensors"}}',
    /"a" appears twice/,
  ],
  [
    "a tensor twice, once escaped",
    '{"weight_map": {"a\\"": "x.safetensors", "\\u0061\\u0022" : "y.safetensors"}}',
    /"a\\"" appears twice/,
  ],
  [
    "two weight_maps",
    '{"weight_map": {"a": "x.safetensors"}, "weight_map": {"a": "y.safetensors"}}',
    /"weight_map" appears twice/,
  ],
];

for (const [name, text, want] of damaged) {
  test(`an index with ${name} is refused`, () => {
    assert.throws(
      () => parseIndex(text, "/m/index"),
      (error) =>
        error instanceof GraftError && error.code === "MODEL_INDEX" && want.test(error.message),
    );
  });
}

test("keys that repeat elsewhere than at the top and in weight_map do not matter", () => {
  const text =
    '{"metadata": {"a": 1, "a": 2, "weight_map": {"c": 1, "c": 2}, "list": [{"d": 1}, {"d": 2}]},' +
    ' "weight_map": {"a:": "x.safetensors", "weight_map": "x.safetensors"}}';
  assert.deepEqual([...parseIndex(text, "/m").shardOf.keys()], ["a:", "weight_map"]);
});

test("a tensor named __proto__ is an entry like any other", () => {
  const { shardOf } = parseIndex('{"weight_map": {"__proto__": "x.safetensors"}}', "/m");
  assert.equal(shardOf.get("__proto__"), "x.safetensors");
});

test("200,000 nested lists are judged without a stack overflow", () => {
  const nested = "[".repeat(200_000) + "]".repeat(200_000);
  const text = `{"metadata": ${nested}, "weight_map": {"a": "x.safetensors"}}`;
  assert.deepEqual(parseIndex(text, "/m").shards, ["x.safetensors"]);
});
