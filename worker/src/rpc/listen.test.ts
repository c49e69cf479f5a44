import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { temporaryFolder, writeTree } from "../test-models.js";
import { prepareAddress } from "./listen.js";

const unix = (path: string) => ({ kind: "unix", path }) as const;

test("TCP addresses are spelled as gRPC wants them", async () => {
  const spell = (host: string) => prepareAddress({ kind: "tcp", host, port: 7 }, false);
  assert.equal(await spell("127.0.0.1"), "127.0.0.1:7");
  assert.equal(await spell("::1"), "[::1]:7");
});

test("a private socket gets a directory of its owner alone", async (t) => {
  const directory = join(temporaryFolder(t), "new");
  const path = join(directory, "w.sock");
  assert.equal(await prepareAddress(unix(path), true), `unix:${path}`);
  assert.equal(statSync(directory).mode & 0o777, 0o700);
});

test("a private socket in a directory that others may enter is refused", async (t) => {
  const directory = join(temporaryFolder(t), "open");
  mkdirSync(directory, { mode: 0o755 });
  const path = join(directory, "w.sock");
  await assert.rejects(prepareAddress(unix(path), true), /open to others; run: chmod 700/);
  assert.equal(await prepareAddress(unix(path), false), `unix:${path}`);
});

test("a socket that a killed process left is removed", async (t) => {
  const path = join(temporaryFolder(t), "w.sock");
  const script = `require("net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 9))`;
  spawnSync(process.execPath, ["-e", script]);
  assert.ok(existsSync(path));
  await prepareAddress(unix(path), false);
  assert.ok(!existsSync(path));
});

test("a socket that answers is left alone", async (t) => {
  const path = join(temporaryFolder(t), "w.sock");
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.after(() => server.close());
  await assert.rejects(prepareAddress(unix(path), false), /another process listens there/);
  assert.ok(existsSync(path));
});

test("a file in the socket's place is not removed", async (t) => {
  const folder = writeTree(temporaryFolder(t), { "w.sock": "precious" });
  const path = join(folder, "w.sock");
  await assert.rejects(prepareAddress(unix(path), false), /exists and is not a socket/);
  assert.ok(existsSync(path));
});

test("a path too long for a socket is refused with the limit", async () => {
  await assert.rejects(
    prepareAddress(unix(`/tmp/${"x".repeat(120)}`), false),
    /125 bytes, over 107/,
  );
});
