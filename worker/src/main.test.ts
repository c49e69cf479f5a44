import assert from "node:assert/strict";
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { SKIP_WITHOUT_ADDON, temporaryFolder } from "./test-models.js";

const skip = SKIP_WITHOUT_ADDON;
const MAIN = fileURLToPath(new URL("main.js", import.meta.url));
const MEMORY = ["--memory", String(512 * 1024 * 1024)];

function start(t: TestContext, args: readonly string[]): ChildProcessWithoutNullStreams {
  const child = spawn(process.execPath, [MAIN, ...args]);
  t.after(() => child.kill("SIGKILL"));
  return child;
}

async function firstLine(child: ChildProcessWithoutNullStreams): Promise<string> {
  const [line] = await once(createInterface(child.stdout), "line");
  return line;
}

/** Exit code and what was written to standard error. */
async function ending(child: ChildProcessWithoutNullStreams): Promise<[number | null, string]> {
  let text = "";
  child.stderr.on("data", (chunk) => {
    text += chunk;
  });
  const [code] = await once(child, "close");
  return [code, text];
}

const refused: readonly [string, readonly string[], RegExp][] = [
  ["no address", [], /--listen/],
  ["a remote address", ["--listen", "0.0.0.0:0"], /^graft-worker: --listen: "0\.0\.0\.0" is not/],
  [
    "half of TLS",
    ["--listen", "0.0.0.0:0", "--tls-cert", "a"],
    /^graft-worker: --tls-key: missing/,
  ],
  ["an unknown flag", ["--listen", "127.0.0.1:0", "--fast"], /unknown option '--fast'/],
];

for (const [name, args, want] of refused) {
  test(`the command line with ${name} ends with exit code 2`, async (t) => {
    const [code, text] = await ending(start(t, args));
    assert.equal(code, 2);
    assert.match(text, want);
  });
}

test("a private worker says that it is ready and ends with its standard input", {
  skip,
}, async (t) => {
  const socket = join(temporaryFolder(t), "private", "w.sock");
  const child = start(t, ["--listen", `unix:${socket}`, "--private", ...MEMORY]);
  assert.equal(await firstLine(child), '{"ready":true}');
  assert.ok(existsSync(socket));
  child.kill("SIGINT");
  const stopped = Date.now();
  child.stdin.end();
  assert.deepEqual(await ending(child), [0, ""]);
  assert.ok(Date.now() - stopped < 2000);
  assert.ok(!existsSync(socket));
});

test("a worker on TCP names its port and ends on SIGTERM", { skip }, async (t) => {
  const child = start(t, ["--listen", "127.0.0.1:0", ...MEMORY]);
  const { ready, listen } = JSON.parse(await firstLine(child));
  assert.equal(ready, true);
  assert.match(listen, /^127\.0\.0\.1:[1-9]\d*$/);
  child.stdin.end();
  child.kill("SIGTERM");
  assert.deepEqual(await ending(child), [0, ""]);
});
