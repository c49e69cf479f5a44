import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import {
  Dtype,
  Kernel,
  RunTasksRequest,
  type RunTasksResponse,
  type SpanDigest,
  Task,
  type TaskProgress,
  type WeightFile,
  WorkerServiceClient,
} from "@graft/proto";
import { credentials } from "@grpc/grpc-js";
import { pinOf } from "../cache/test-weights.js";
import { floatFile, SKIP_WITHOUT_ADDON, temporaryFolder } from "../test-models.js";

const skip = SKIP_WITHOUT_ADDON;
const MAIN = fileURLToPath(new URL("../main.js", import.meta.url));
const COUNT = 1_500_000;
const X = floatFile({ w: Array.from({ length: COUNT }, (_, at) => Math.fround(Math.sin(at))) });
const Y = floatFile({ w: Array.from({ length: COUNT }, (_, at) => Math.fround(Math.cos(at))) });
const DATA_START = X.length - 4 * COUNT;

interface Process {
  readonly folder: string;
  readonly address: string;
  readonly client: WorkerServiceClient;
  /** Everything below it is seen by this worker only: it is where this process stands. */
  readonly own: (name: string) => string;
}

/** A worker process with a disk of its own: paths through its working folder mean its own files. */
async function startProcess(t: TestContext, name: string): Promise<Process> {
  const folder = join(temporaryFolder(t), name);
  mkdirSync(folder);
  const args = ["--listen", "127.0.0.1:0", "--memory", String(256 * 1024 * 1024), "--threads", "1"];
  args.push("--cache-dir", join(folder, "cache"), "--cache-size", "200MiB");
  const child = spawn(process.execPath, [MAIN, ...args], { cwd: folder });
  const [line] = await once(createInterface(child.stdout), "line");
  const address: string = JSON.parse(line).listen;
  const client = new WorkerServiceClient(address, credentials.createInsecure());
  t.after(() => {
    client.close();
    child.kill("SIGKILL");
  });
  return { folder, address, client, own: (file) => `/proc/self/cwd/${file}` };
}

/** A file on one worker's disk, as that worker describes it. */
function put(worker: Process, name: string, bytes: Buffer): WeightFile {
  const path = join(worker.folder, name);
  writeFileSync(path, bytes);
  const source = { holders: [worker.address], contentDigest: "" };
  return { ...pinOf(path, name), path: worker.own(name), source };
}

/** The same file as somebody sees it who has the whole disk in view. */
function inView(worker: Process, file: WeightFile): WeightFile {
  return { ...file, path: join(worker.folder, file.name), source: undefined };
}

/** x / 2 + y / 2 over some elements of w. */
function average(id: string, x: WeightFile, y: WeightFile, start: number, count: number): Task {
  const input = (fileIndex: number) => ({
    fileIndex,
    offsetBytes: BigInt(DATA_START),
    dtype: Dtype.DTYPE_F32,
    weight: 0.5,
    density: 1,
    modelIndex: fileIndex,
    tensor: "w",
    model: "m",
  });
  const operation = {
    kernel: Kernel.KERNEL_LINEAR,
    outputDtype: Dtype.DTYPE_F32,
    tensorElementCount: BigInt(COUNT),
    elementStart: BigInt(start),
    elementCount: BigInt(count),
    inputs: [input(0), input(1)],
    destinations: [{ fileIndex: 0, offsetBytes: 0n, tensor: "w" }],
  };
  return Task.fromPartial({
    taskId: id,
    inputs: [x, y],
    outputs: ["out.bin"],
    operations: [operation],
  });
}

interface Ran {
  readonly outputs: ReadonlyMap<string, readonly SpanDigest[]>;
  readonly progress: TaskProgress;
}

/** Runs tasks at the same time over one stream. */
async function run(worker: Process, tasks: readonly Task[], output: string): Promise<Ran> {
  const call = worker.client.runTasks();
  const outputs = new Map<string, readonly SpanDigest[]>();
  let progress: TaskProgress | undefined;
  for (const task of tasks) {
    const value = { task, epoch: 1n, outputDirectory: output };
    call.write(RunTasksRequest.fromPartial({ message: { $case: "assign", value } }));
  }
  for await (const { message } of call as AsyncIterable<RunTasksResponse>) {
    if (message?.$case === "failed") assert.fail(message.value.error?.message);
    if (message?.$case === "progress") progress = message.value;
    if (message?.$case === "done") outputs.set(message.value.taskId, message.value.outputs);
    if (outputs.size === tasks.length) call.end();
  }
  assert.ok(progress !== undefined);
  return { outputs, progress };
}

function outputFolder(t: TestContext): string {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, "out.bin"), Buffer.alloc(4 * COUNT));
  return folder;
}

test("tasks whose inputs are on other workers' disks give the same bytes; each byte is pulled once", {
  skip,
}, async (t) => {
  const [a, b, c] = [
    await startProcess(t, "a"),
    await startProcess(t, "b"),
    await startProcess(t, "c"),
  ];
  const x = put(a, "x.safetensors", X);
  const y = put(b, "y.safetensors", Y);
  // Two that overlap, and one that covers what both leave out.
  const pieces: readonly [string, number, number][] = [
    ["left", 0, 917_504],
    ["right", 786_432, COUNT - 786_432],
    ["whole", 0, COUNT],
  ];
  const spread = pieces.map(([id, start, count]) => average(id, x, y, start, count));
  const local = pieces.map(([id, start, count]) =>
    average(id, inView(a, x), inView(b, y), start, count),
  );
  const wanted = outputFolder(t);
  const reference = await run(a, local, wanted);
  assert.equal(reference.progress.wireBytes, 0n);

  const output = outputFolder(t);
  const first = await run(c, spread, output);
  assert.deepEqual(first.outputs, reference.outputs);
  assert.ok(readFileSync(join(output, "out.bin")).equals(readFileSync(join(wanted, "out.bin"))));
  const uniqueBytes = 2 * 4 * COUNT;
  assert.equal(first.progress.wireBytes, BigInt(uniqueBytes));
  assert.equal(first.progress.wrongPieceCount, 0n);

  const again = await run(c, spread, output);
  assert.deepEqual(again.outputs, reference.outputs);
  assert.equal(again.progress.wireBytes, 0n);
  assert.ok(again.progress.cacheHitBytes >= BigInt(uniqueBytes));

  // Half of it is its own: only the other half crosses the wire.
  const half = await run(a, spread, output);
  assert.deepEqual(half.outputs, reference.outputs);
  assert.equal(half.progress.wireBytes, BigInt(4 * COUNT));

  const cache = join(c.folder, "cache");
  const cached = readdirSync(cache).find((name) => name.endsWith("x.safetensors")) ?? "";
  await using file = await open(join(cache, cached), "r+");
  await file.write(Buffer.from([1, 2, 3]), 0, 3, DATA_START + 4_000_000);
  const repaired = await run(c, spread, output);
  assert.deepEqual(repaired.outputs, reference.outputs);
  assert.equal(repaired.progress.wrongPieceCount, 1n);
  assert.ok(repaired.progress.wireBytes <= 2n * 1024n * 1024n);
});

test("a file that its holder has changed since the plan is never merged", { skip }, async (t) => {
  const [a, b] = [await startProcess(t, "a"), await startProcess(t, "b")];
  const x = put(a, "x.safetensors", X);
  const changed = Buffer.from(X);
  changed.writeUInt8(changed.readUInt8(X.length - 5) ^ 1, X.length - 5);
  const { mtimeMs } = statSync(join(a.folder, x.name));
  writeFileSync(join(a.folder, x.name), changed);
  assert.notEqual(statSync(join(a.folder, x.name)).mtimeMs, mtimeMs);
  const task = average("t", x, x, 0, COUNT);
  await assert.rejects(run(b, [task], outputFolder(t)), /x\.safetensors: changed while/);
});
