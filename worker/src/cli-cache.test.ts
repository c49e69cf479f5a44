import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { openShardCache } from "./cache/shard-cache.js";
import { readConfig } from "./config.js";
import { startWorker } from "./rpc/server.js";
import { floatFile, SKIP_WITHOUT_ADDON, temporaryFolder, writeTree } from "./test-models.js";

const skip = SKIP_WITHOUT_ADDON;
const MAIN = fileURLToPath(new URL("main.js", import.meta.url));
const SHARD = floatFile({ w: Array.from({ length: 700_000 }, (_, at) => at) });

interface Output {
  readonly code: number | null;
  readonly data: string;
  readonly messages: string;
}

async function cacheCommand(...args: readonly string[]): Promise<Output> {
  const child = spawn(process.execPath, [MAIN, "cache", ...args]);
  let data = "";
  let messages = "";
  child.stdout.on("data", (text) => {
    data += text;
  });
  child.stderr.on("data", (text) => {
    messages += text;
  });
  const [code] = await once(child, "close");
  return { code, data, messages };
}

/** A cache that was filled from a real worker by the command under test. */
async function warmed(t: TestContext): Promise<{ cacheDir: string; model: string; from: string }> {
  const folder = temporaryFolder(t);
  const model = writeTree(join(folder, "model"), { "model.safetensors": SHARD });
  writeFileSync(join(model, "config.json"), "{}");
  const flags = { listen: "127.0.0.1:0", threads: "1", memory: String(256 * 1024 * 1024) };
  const worker = await startWorker(readConfig(flags, {}));
  t.after(() => worker[Symbol.asyncDispose]());
  const cacheDir = join(folder, "cache");
  const from = `127.0.0.1:${worker.port}`;
  const args = ["warm", model, "--from", from, "--cache-dir", cacheDir];
  const { code, messages } = await cacheCommand(...args);
  assert.equal(code, 0, messages);
  assert.match(messages, /model: 3 MiB here, 3 MiB pulled\n$/);
  return { cacheDir, model, from };
}

test("warm fills the cache once, ls shows it, rm removes it", { skip }, async (t) => {
  const { cacheDir, model, from } = await warmed(t);
  const again = await cacheCommand("warm", model, "--from", from, "--cache-dir", cacheDir);
  assert.match(again.messages, /3 MiB here, 0 MiB pulled/);
  const { data } = await cacheCommand("ls", "--cache-dir", cacheDir);
  assert.match(data, /^[0-9a-f]{32} {2,}3 of 3 MiB {2}used \d{4}-.* model\.safetensors\n$/);
  const [line = ""] = (await cacheCommand("ls", "--json", "--cache-dir", cacheDir)).data.split(
    "\n",
  );
  assert.equal(JSON.parse(line).cachedBytes, SHARD.length);
  const unknown = await cacheCommand("rm", "other", "--cache-dir", cacheDir);
  assert.deepEqual(
    [unknown.code, unknown.messages],
    [2, "graft-worker: cache rm: other: not in the cache\n"],
  );
  assert.equal((await cacheCommand("rm", "--cache-dir", cacheDir)).code, 2);
  const removed = await cacheCommand("rm", JSON.parse(line).key, "--cache-dir", cacheDir);
  assert.equal(removed.messages, "graft-worker: removed 1 files, 3 MiB\n");
  assert.deepEqual(readdirSync(cacheDir), []);
});

test("verify finds a flipped bit, takes the piece out and is content the next time", {
  skip,
}, async (t) => {
  const { cacheDir, model, from } = await warmed(t);
  const name = readdirSync(cacheDir).find((entry) => entry.endsWith(".safetensors")) ?? "";
  {
    await using file = await open(join(cacheDir, name), "r+");
    await file.write(Buffer.from([0xff, 0xff]), 0, 2, 2_500_000);
  }
  const found = await cacheCommand("verify", "--cache-dir", cacheDir);
  assert.equal(found.code, 1);
  assert.equal(found.data, `${name}: 1 wrong pieces\n`);
  const after = await cacheCommand("verify", "--cache-dir", cacheDir);
  assert.deepEqual([after.code, after.data], [0, ""]);
  const again = await cacheCommand("warm", model, "--from", from, "--cache-dir", cacheDir);
  assert.match(again.messages, /3 MiB here, 1 MiB pulled/);
});

test("a cache that a worker has, a model nobody has, a cache too small: said, and changed nothing", {
  skip,
}, async (t) => {
  const { cacheDir, model, from } = await warmed(t);
  const small = temporaryFolder(t);
  const into = ["--cache-dir", small, "--cache-size", "1MiB"];
  const tooSmall = await cacheCommand("warm", model, "--from", from, ...into);
  assert.equal(tooSmall.code, 3);
  assert.match(tooSmall.messages, /holds at most 1 MiB, but the task needs 3 MiB/);
  const nobody = await cacheCommand("warm", "/no/such", "--from", from, "--cache-dir", small);
  assert.match(nobody.messages, /model "\/no\/such": no such directory/);
  mkdirSync(cacheDir, { recursive: true });
  await using _held = await openShardCache({ directory: cacheDir, bytesMax: null });
  for (const args of [["verify"], ["rm", "--all"]]) {
    const { code, messages } = await cacheCommand(...args, "--cache-dir", cacheDir);
    assert.equal(code, 2);
    assert.match(messages, /process \d+ uses this cache; stop that worker first/);
  }
  assert.match((await cacheCommand("ls", "--cache-dir", cacheDir)).data, /3 of 3 MiB/);
});
