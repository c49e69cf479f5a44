import assert from "node:assert/strict";
import { test } from "node:test";
import { GraftError } from "@graft/proto";
import { sha256Hex } from "./canonical.js";
import { inventLlama, planOf, readRecipe } from "./invented-models.js";
import { buildManifest, type ManifestInput, type ManifestSpan } from "./manifest.js";
import { parseManifest } from "./manifest-reader.js";

const text = `merge_method: linear
models: [{model: a}, {model: b}]
parameters: {weight: 1}
`;
const models = ["a", "b"].map((reference) => inventLlama(reference, { layers: 2 }));
const plan = planOf(text, models, { maxShardSizeBytes: 4000 });
const digest = (name: string) => sha256Hex(name).slice(0, 32);

const outputSpans = new Map(
  plan.files
    .flatMap(({ tensors }) => tensors)
    .map(({ name, lengthBytes }): [string, ManifestSpan[]] => {
      const half = lengthBytes / 2;
      const spans = [half, 0].map((offset) => ({ offset, length: half, digest: digest(name) }));
      return [name, spans];
    }),
);

const input: ManifestInput = {
  plan,
  recipe: readRecipe(text),
  models,
  kernelVersion: "test-1",
  seed: 7n,
  fileSha256: new Map(plan.files.map(({ name }) => [name, sha256Hex(name)])),
  outputSpans,
  inputDigests: ["b", "a", "a"].map((model) => {
    const file = "weights-0.safetensors";
    return { model, file, tensor: "w", offset: 0, length: 4, digest: digest(model) };
  }),
  sideFiles: [{ name: "tokenizer.json", size: 3, sha256: sha256Hex("t") }],
  nonFinite: [{ model: "a", tensor: "w", count: 2n, firstIndex: 1n }],
};

test("what is built can be read back, spans in order", () => {
  const built = buildManifest(input);
  const manifest = parseManifest(built);
  assert.equal(manifest.planDigest, plan.digest);
  assert.equal(manifest.recipeSha256, sha256Hex(text));
  assert.deepEqual(
    manifest.files.map(({ name }) => name),
    plan.files.map(({ name }) => name),
  );
  for (const { tensors } of manifest.files) {
    for (const tensor of tensors)
      assert.deepEqual(
        tensor.spans.map(({ offset }) => offset),
        [0, tensor.length / 2],
      );
  }
  const whole = JSON.parse(built);
  assert.equal(whole.ledger.length, plan.ledger.length);
  assert.deepEqual(
    whole.inputDigests.map(({ model }: { model: string }) => model),
    ["a", "b"],
  );
  assert.deepEqual(whole.nonFinite, [{ model: "a", tensor: "w", count: 2, firstIndex: 1 }]);
});

test("the text holds no path and does not depend on the order of results", () => {
  const built = buildManifest(input);
  assert.doesNotMatch(built, /\/models/);
  const shuffled = {
    ...input,
    outputSpans: new Map(
      [...outputSpans].reverse().map(([name, spans]) => [name, [...spans].reverse()]),
    ),
    inputDigests: [...input.inputDigests].reverse(),
  };
  assert.equal(buildManifest(shuffled), built);
});

test("a manifest that was tampered with is refused by field", () => {
  const file = () => JSON.parse(buildManifest(input));
  type Edit = (manifest: ReturnType<typeof file>) => void;
  const cases: readonly (readonly [Edit, RegExp])[] = [
    [(m) => (m.formatVersion = 2), /formatVersion: expected version 1/],
    [(m) => delete m.files, /expected an object with files/],
    [(m) => (m.files[0].name = "../x"), /files\[0\]\.name: expected a file name/],
    [(m) => (m.files[0].sha256 = "abc"), /files\[0\]\.sha256: expected 64 hex digits/],
    [(m) => (m.files[0].tensors[0].offset = 1e9), /tensors\[0\]\.length: expected bytes within/],
    [(m) => m.files[0].tensors[0].spans.pop(), /spans: expected spans covering/],
    [(m) => (m.files[0].tensors[0].spans[1].offset = 1), /spans\[1\]\.offset: expected/],
    [(m) => (m.files[0].size = -1), /size: expected a whole number/],
    [(m) => (m.sideFiles = {}), /sideFiles: expected a list/],
  ];
  for (const [edit, message] of cases) {
    const manifest = file();
    edit(manifest);
    assert.throws(
      () => parseManifest(JSON.stringify(manifest), "out/graft-manifest.json"),
      (error) =>
        error instanceof GraftError &&
        error.code === "VERIFY_MISMATCH" &&
        error.message.startsWith("out/graft-manifest.json: ") &&
        message.test(error.message),
      String(message),
    );
  }
  assert.throws(() => parseManifest("{"), /expected JSON/);
});

test("no sha256 is null, not absent", () => {
  const manifest = parseManifest(buildManifest({ ...input, fileSha256: new Map() }));
  assert.ok(manifest.files.every(({ sha256 }) => sha256 === null));
});
