// What a program that is no good worker does to its starter. Good workers are the integration suites'.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { describe, it } from "node:test";
import { GraftError } from "@graft/proto";
import { createPrivateWorker } from "./private-worker.js";
import { startWorkerProcess } from "./worker-process.js";

const bounds = { threadCount: 1, memoryBytes: 2 ** 30, debug: false };

const script = (source: string) => ({
  ...bounds,
  workerId: "w",
  command: [process.execPath, "-e", source, "--"],
});

async function startError(source: string): Promise<GraftError> {
  await using worker = await startWorkerProcess(script(source));
  try {
    await worker.client;
  } catch (error) {
    assert.ok(error instanceof GraftError);
    return error;
  }
  throw new Error("it started");
}

describe("a worker process that fails", () => {
  for (const [name, source, code, message] of [
    [
      "says why on its way out",
      `console.log(JSON.stringify({ ready: false, error: {
        code: "NATIVE_MISSING", message: "no native library; tried x", details: {} } }));
      process.exit(3)`,
      "NATIVE_MISSING",
      /^no native library; tried x$/,
    ],
    [
      "dies with a last word",
      "console.error('odd'); process.exit(2)",
      "WORKER_LOST",
      /did not start \(exit code 2\): odd$/,
    ],
    ["crashes", "process.kill(process.pid, 'SIGSEGV')", "WORKER_LOST", /killed by SIGSEGV/],
    ["leaves without a word", "process.exit(0)", "WORKER_LOST", /did not start \(exit code 0\)/],
  ] as const) {
    it(`${name}: ${code}`, async () => {
      const error = await startError(source);
      assert.equal(error.code, code);
      assert.match(error.message, message);
    });
  }

  it("cannot be run at all", async () => {
    const options = { ...bounds, workerId: "w", command: ["/nonexistent/graft-worker"] };
    await using worker = await startWorkerProcess(options);
    await assert.rejects(worker.client, /did not start \(spawn .*ENOENT\)/);
  });

  it("ends with its standard input, and its socket directory is removed", async () => {
    const source =
      "process.stdin.resume().on('end', () => process.exit(7));" +
      "console.error(process.argv.find((arg) => arg.startsWith('unix:')));" +
      "console.log(JSON.stringify({ ready: true }))";
    const worker = await startWorkerProcess(script(source));
    await worker.client;
    await worker[Symbol.asyncDispose]();
    assert.equal(await worker.exited, "exit code 7");
  });

  it("is killed when it does not end by itself", async () => {
    const source = "setInterval(() => {}, 1000); console.log(JSON.stringify({ ready: true }))";
    const worker = await startWorkerProcess(script(source));
    await worker.client;
    await worker[Symbol.asyncDispose]();
    assert.match(await worker.exited, /SIGKILL/);
    assert.ok(!existsSync(`/proc/${worker.processId}`));
  });
});

describe("a private worker that keeps dying under a call", () => {
  it("is replaced a few times, each under a new name, then given up", async () => {
    const source = "console.log(JSON.stringify({ ready: true })); setTimeout(process.abort, 50)";
    const { command } = script(source);
    await using worker = createPrivateWorker({ ...bounds, command });
    await assert.rejects(
      worker.use((client) => client.getWorker()),
      /worker local-3: killed by SIGABRT/,
    );
  });
});
