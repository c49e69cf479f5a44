import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { GraftError } from "@graft/proto";
import { temporaryFolder, writeTree } from "../test-models.js";
import { copySideFile, joinPlain } from "./files.js";

const { signal } = new AbortController();

for (const name of [
  "",
  ".",
  "..",
  "../x",
  "a/b",
  "/etc/x",
  "a\\b",
  "a\0b",
  "a\nb",
  "x".repeat(256),
]) {
  test(`the output name ${JSON.stringify(name.slice(0, 20))} is refused`, () => {
    assert.throws(
      () => joinPlain("/out", name),
      (error) => error instanceof GraftError && error.code === "FLAG",
    );
  });
}

test("a relative output directory is refused", () => {
  assert.throws(() => joinPlain("out", "a"), /expected an absolute path, got "out"/);
});

test("a side file is copied byte for byte over an older one", async (t) => {
  const bytes = randomBytes(2_500_000);
  const folder = writeTree(temporaryFolder(t), {
    "m/tokenizer.json": bytes,
    "out/tokenizer.json": "old",
  });
  const request = {
    sourceDirectory: join(folder, "m"),
    name: "tokenizer.json",
    outputDirectory: join(folder, "out"),
    signal,
  };
  const { sizeBytes, sha256 } = await copySideFile(request);
  assert.equal(sizeBytes, 2_500_000n);
  assert.equal(sha256, createHash("sha256").update(bytes).digest("hex"));
  assert.ok(readFileSync(join(folder, "out/tokenizer.json")).equals(bytes));
  assert.deepEqual(readdirSync(join(folder, "out")), ["tokenizer.json"]);
});

test("a side file that links out of the model or is gone leaves nothing behind", async (t) => {
  const folder = writeTree(temporaryFolder(t), { secret: "x", "m/a": "" });
  mkdirSync(join(folder, "out"));
  symlinkSync("../secret", join(folder, "m/link"));
  const request = {
    sourceDirectory: join(folder, "m"),
    outputDirectory: join(folder, "out"),
    signal,
  };
  await assert.rejects(copySideFile({ ...request, name: "link" }), /outside the model directory/);
  await assert.rejects(copySideFile({ ...request, name: "gone" }), /it is gone/);
  assert.deepEqual(readdirSync(join(folder, "out")), []);
});

test("a cancelled copy removes its temporary file", async (t) => {
  const folder = writeTree(temporaryFolder(t), { "m/a": "x" });
  const request = { sourceDirectory: join(folder, "m"), name: "a", outputDirectory: folder };
  await assert.rejects(copySideFile({ ...request, signal: AbortSignal.abort() }), /abort/i);
  assert.ok(!existsSync(join(folder, "a")));
  assert.deepEqual(readdirSync(folder), ["m"]);
});
