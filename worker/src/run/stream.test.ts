import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { NativeTaskResult } from "@graft/native";
import { NativeError } from "@graft/native";
import type { RunTasksRequest, RunTasksResponse } from "@graft/proto";
import { createTaskStream, type TaskStream } from "./stream.js";

const NOTHING: NativeTaskResult = {
  outputDigests: [],
  inputDigests: [],
  nonFinite: [],
  cpuSeconds: 1.25,
};

interface Call {
  readonly finish: () => void;
  readonly fail: (error: unknown) => void;
  readonly signal: AbortSignal;
}

/** A stream over an engine whose tasks end when the test says so. */
function start(): {
  stream: TaskStream;
  sent: string[];
  responses: RunTasksResponse[];
  calls: Call[];
} {
  const calls: Call[] = [];
  const sent: string[] = [];
  const responses: RunTasksResponse[] = [];
  let readBytes = 100n;
  const stream = createTaskStream({
    taskCountMax: 2,
    engine: {
      runTask: (_task, { signal } = {}) =>
        new Promise((resolve, reject) => {
          assert.ok(signal !== undefined);
          const finish = (): void => {
            readBytes += 10n;
            resolve(NOTHING);
          };
          signal.addEventListener("abort", () => reject(signal.reason));
          calls.push({ finish, fail: reject, signal });
        }),
      counters: () => ({ readBytes, writtenBytes: 0n, pageCacheBytes: 0n, bufferBytes: 0n }),
    },
    workerId: "w1",
    send: (response) => {
      responses.push(response);
      sent.push(summary(response));
    },
    nowMs: () => 0,
    residentMemoryBytes: () => 7,
  });
  return { stream, sent, responses, calls };
}

function summary({ message }: RunTasksResponse): string {
  switch (message?.$case) {
    case "credits":
      return `credits ${message.value.count}`;
    case "progress":
      return `progress ${message.value.readBytes}`;
    case "done":
      return `done ${message.value.taskId}@${message.value.epoch}`;
    case "failed":
      return `failed ${message.value.taskId}@${message.value.epoch} ${message.value.error?.code}`;
    default:
      return "nothing";
  }
}

const assign = (taskId: string, epoch = 1n): RunTasksRequest => ({
  message: {
    $case: "assign",
    value: {
      task: { taskId, inputs: [], outputs: [], operations: [], readBytes: 0n, writeBytes: 0n },
      epoch,
      outputDirectory: "/o",
    },
  },
});
const cancel = (taskId: string, epoch = 1n): RunTasksRequest => ({
  message: { $case: "cancel", value: { taskId, epoch } },
});
const settle = (): Promise<void> => sleep(1);

test("two credits at the start and one more per finished task", async () => {
  const { stream, sent, calls } = start();
  stream.handle(assign("a"));
  stream.handle(assign("b"));
  calls[0]?.finish();
  await settle();
  assert.deepEqual(sent, ["credits 2", "progress 10", "done a@1", "credits 1"]);
  await stream[Symbol.asyncDispose]();
});

test("a failing task is answered with its error and the stream goes on", async () => {
  const { stream, sent, calls } = start();
  stream.handle(assign("a"));
  calls[0]?.fail(new NativeError("INPUT_CHANGED", { path: "/x", what: "size" }));
  await settle();
  stream.handle(assign("b"));
  calls[1]?.fail(new TypeError("a bug"));
  await settle();
  stream.handle(assign("c"));
  calls[2]?.finish();
  await settle();
  const ends = sent.filter((line) => /^(done|failed)/.test(line));
  assert.deepEqual(ends, ["failed a@1 INPUT_CHANGED", "failed b@1 INTERNAL", "done c@1"]);
});

test("cancelling reaches the task of that epoch only", async () => {
  const { stream, sent, calls } = start();
  stream.handle(assign("a", 1n));
  stream.handle(assign("a", 2n));
  stream.handle(cancel("a", 2n));
  stream.handle(cancel("unknown"));
  await settle();
  assert.ok(sent.includes("failed a@2 CANCELLED"));
  assert.equal(calls[0]?.signal.aborted, false);
  await stream[Symbol.asyncDispose]();
});

test("the same assignment again runs once", async () => {
  const { stream, sent, calls } = start();
  stream.handle(assign("a"));
  stream.handle(assign("a"));
  assert.equal(calls.length, 1);
  calls[0]?.finish();
  await settle();
  assert.equal(sent.filter((line) => line === "done a@1").length, 1);
});

test("a task beyond the credits and one without content are refused", async () => {
  const { stream, sent, calls } = start();
  stream.handle({ message: { $case: "assign", value: { epoch: 1n, outputDirectory: "/o" } } });
  await settle();
  for (const id of ["a", "b", "c"]) stream.handle(assign(id));
  assert.equal(calls.length, 2);
  assert.deepEqual(
    sent.filter((line) => line.startsWith("failed")),
    ["failed @1 FLAG", "failed c@1 WORKER_LOST"],
  );
  await stream[Symbol.asyncDispose]();
});

test("draining waits for running tasks, refuses new ones and grants nothing", async () => {
  const { stream, sent, calls } = start();
  stream.handle(assign("a"));
  let drained = false;
  const drain = stream.drain().then(() => {
    drained = true;
  });
  stream.handle(assign("b"));
  await settle();
  assert.equal(drained, false);
  calls[0]?.finish();
  await drain;
  assert.deepEqual(sent, ["credits 2", "failed b@1 WORKER_LOST", "progress 10", "done a@1"]);
});

test("disposing aborts every task, waits for it and sends nothing more", async () => {
  const { stream, sent, calls } = start();
  stream.handle(assign("a"));
  stream.handle(assign("b"));
  await stream[Symbol.asyncDispose]();
  assert.deepEqual(
    calls.map(({ signal }) => signal.aborted),
    [true, true],
  );
  assert.deepEqual(sent, ["credits 2"]);
  stream.handle(assign("c"));
  assert.equal(calls.length, 2);
});

test("progress comes while a task runs and stops with it", async () => {
  const { stream, sent, calls, responses } = start();
  stream.handle(assign("a"));
  await sleep(250);
  const during = sent.filter((line) => line === "progress 0").length;
  assert.ok(during >= 1 && during <= 3, `${during} messages in 250 ms`);
  calls[0]?.finish();
  await settle();
  const count = sent.length;
  await sleep(150);
  assert.equal(sent.length, count);
  const done = responses.find(({ message }) => message?.$case === "done")?.message;
  assert.ok(done?.$case === "done");
  assert.deepEqual(done.value.cpuTime, { seconds: 1n, nanos: 250_000_000 });
});
