import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import {
  type DescribeModelResponse,
  type DigestFileResponse,
  Dtype,
  ErrorDetail,
  type GetWorkerResponse,
  Kernel,
  type MeasureStorageResponse,
  type ReadRangeResponse,
  RunTasksRequest,
  type RunTasksResponse,
  type SpanDigest,
  Task,
  type TaskDone,
  type TensorEntry,
  type WeightFile,
  WorkerServiceClient,
} from "@graft/proto";
import {
  credentials,
  makeGenericClientConstructor,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import { service as healthService } from "grpc-health-check";
import { readConfig } from "../config.js";
import { ERROR_TRAILER } from "../errors.js";
import { TASKS_AT_ONCE } from "../run/stream.js";
import { floatFile, SKIP_WITHOUT_ADDON, temporaryFolder, writeTree } from "../test-models.js";
import { startWorker, type Worker } from "./server.js";

const skip = SKIP_WITHOUT_ADDON;
const MEMORY = String(512 * 1024 * 1024);

interface Setup {
  readonly folder: string;
  readonly worker: Worker;
  readonly client: WorkerServiceClient;
  readonly address: string;
}

/** A real worker on a unix socket with a real client, both gone when the test ends. */
async function setUp(t: TestContext, isPrivate = true): Promise<Setup> {
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, "private"), { mode: 0o700 });
  const address = `unix:${join(folder, "private/w.sock")}`;
  const flags = { listen: address, private: isPrivate, threads: "2", memory: MEMORY };
  const worker = await startWorker(readConfig(flags, {}));
  const client = new WorkerServiceClient(address, credentials.createInsecure());
  t.after(async () => {
    client.close();
    await worker[Symbol.asyncDispose]();
  });
  return { folder, worker, client, address };
}

type Unary<Q, R> = (
  request: Q,
  callback: (error: ServiceError | null, value: R) => void,
) => unknown;

function ask<Q, R>(client: WorkerServiceClient, method: Unary<Q, R>, request: Q): Promise<R> {
  return new Promise((resolve, reject) => {
    method.call(client, request, (error, value) => (error ? reject(error) : resolve(value)));
  });
}

async function all<R>(stream: AsyncIterable<unknown>): Promise<R[]> {
  const responses: R[] = [];
  for await (const response of stream) responses.push(response as R);
  return responses;
}

test("a worker reports its facts and its health, and a drain changes the health", {
  skip,
}, async (t) => {
  const { client, worker, address } = await setUp(t, false);
  const facts: GetWorkerResponse = await ask(client, client.getWorker, {});
  assert.equal(facts.workerId, worker.workerId);
  assert.equal(facts.threadCount, 2);
  assert.equal(facts.memoryLimitBytes, BigInt(MEMORY));
  assert.notEqual(facts.kernelVersion, "");
  const health = connectHealth(address);
  t.after(() => health.close());
  assert.equal(await health.check(""), "SERVING");
  assert.equal(await health.check("graft.v1.WorkerService"), "SERVING");
  await ask(client, client.drain, {});
  assert.equal(await health.check(""), "NOT_SERVING");
  await assert.rejects(all(client.runTasks()), /draining, takes no more tasks/);
});

interface HealthClient {
  check(service: string): Promise<string>;
  close(): void;
}

function connectHealth(address: string): HealthClient {
  const Health = makeGenericClientConstructor(healthService, "Health");
  const client = new Health(address, credentials.createInsecure());
  const check = promisify((client.check as HealthCheck).bind(client));
  return {
    check: async (service) => (await check({ service })).status,
    close: () => client.close(),
  };
}

type HealthCheck = (
  request: { service: string },
  callback: (error: Error | null, value: { status: string }) => void,
) => void;

async function describe(
  client: WorkerServiceClient,
  reference: string,
): Promise<{ file: WeightFile; tensors: ReadonlyMap<string, TensorEntry> }> {
  const responses = await all<DescribeModelResponse>(
    client.describeModel({ reference, searchDirectories: [] }),
  );
  const [model, ...batches] = responses.map(({ part }) => part);
  assert.ok(model?.$case === "model");
  const [file] = model.value.weightFiles;
  assert.ok(file !== undefined);
  const entries = batches.flatMap((part) => (part?.$case === "tensors" ? part.value.tensors : []));
  return { file, tensors: new Map(entries.map((entry) => [entry.name, entry])) };
}

test("a failing call carries its code in the trailer", { skip }, async (t) => {
  const { client } = await setUp(t);
  const error = await describe(client, "/no/such/model").catch((reason) => reason);
  assert.equal(error.code, status.NOT_FOUND);
  const detail = ErrorDetail.decode(error.metadata.get(ERROR_TRAILER)[0]);
  assert.equal(detail.code, "MODEL_NOT_FOUND");
  assert.equal(detail.message, error.details);
});

test("names that are not plain are refused by every method that takes one", { skip }, async (t) => {
  const { client, folder } = await setUp(t);
  const name = "../escaped";
  const outputDirectory = join(folder, "private");
  const header = Buffer.alloc(0);
  const calls = [
    ask(client, client.prepareFile, { outputDirectory, name, sizeBytes: 8n, header }),
    ask(client, client.syncFile, { outputDirectory, name }),
    ask(client, client.copySideFile, { sourceDirectory: folder, name, outputDirectory }),
    all(client.digestFile({ directory: outputDirectory, name, sha256: true, spans: [] })),
  ];
  for (const call of calls) await assert.rejects(call, /expected a plain file name/);
  assert.ok(!existsSync(join(folder, "escaped")));
});

/** Values that float32 holds exactly, more than one digest piece of them. */
const COUNT = 100_000;
const X = Array.from({ length: COUNT }, (_, at) => at);
const Y = Array.from({ length: COUNT }, (_, at) => 3 * at);

function mergeTask(
  x: { file: WeightFile; tensors: ReadonlyMap<string, TensorEntry> },
  y: { file: WeightFile; tensors: ReadonlyMap<string, TensorEntry> },
  dataStart: number,
): Task {
  const input = (fileIndex: number, model: typeof x) => ({
    fileIndex,
    offsetBytes: model.tensors.get("w")?.offsetBytes ?? -1n,
    dtype: Dtype.DTYPE_F32,
    weight: 0.5,
    density: 1,
    modelIndex: fileIndex,
    tensor: "w",
    model: "m",
  });
  const whole = {
    outputDtype: Dtype.DTYPE_F32,
    tensorElementCount: BigInt(COUNT),
    elementStart: 0n,
    elementCount: BigInt(COUNT),
  };
  const place = (tensor: string, at: number) => ({
    fileIndex: 0,
    offsetBytes: BigInt(dataStart + at * 4 * COUNT),
    tensor,
  });
  return Task.fromPartial({
    taskId: "0123",
    inputs: [x.file, y.file],
    outputs: ["model.safetensors"],
    operations: [
      {
        ...whole,
        kernel: Kernel.KERNEL_COPY,
        inputs: [input(0, x)],
        destinations: [place("a", 0)],
      },
      {
        ...whole,
        kernel: Kernel.KERNEL_LINEAR,
        inputs: [input(0, x), input(1, y)],
        destinations: [place("b", 1), place("c", 2)],
      },
    ],
  });
}

async function runTask(
  client: WorkerServiceClient,
  task: Task,
  outputDirectory: string,
): Promise<RunTasksResponse["message"][]> {
  const call = client.runTasks();
  const messages: RunTasksResponse["message"][] = [];
  for await (const response of call) {
    const { message } = response as RunTasksResponse;
    messages.push(message);
    if (messages.length === 1) {
      call.write(
        RunTasksRequest.fromPartial({
          message: { $case: "assign", value: { task, epoch: 4n, outputDirectory } },
        }),
      );
    }
    if (message?.$case === "done" || message?.$case === "failed") call.end();
  }
  return messages;
}

function doneOf(messages: readonly RunTasksResponse["message"][]): TaskDone {
  const last = messages.find((message) => message?.$case === "done" || message?.$case === "failed");
  if (last?.$case === "failed") assert.fail(last.value.error?.message);
  assert.ok(last?.$case === "done");
  return last.value;
}

test("describe, prepare, run, sync and digest make a file of the right bytes", {
  skip,
}, async (t) => {
  const { client, folder } = await setUp(t);
  writeTree(folder, {
    "x/model.safetensors": floatFile({ w: X }),
    "y/model.safetensors": floatFile({ w: Y }),
  });
  const outputDirectory = join(folder, "out");
  mkdirSync(outputDirectory);
  const sum = X.map((value, at) => 0.5 * value + 0.5 * (Y[at] ?? 0));
  const wanted = floatFile({ a: X, b: sum, c: sum });
  const dataStart = wanted.length - 3 * 4 * COUNT;
  const name = "model.safetensors";
  const header = wanted.subarray(0, dataStart);
  const sizeBytes = BigInt(wanted.length);
  await ask(client, client.prepareFile, { outputDirectory, name, sizeBytes, header });

  const [x, y] = [
    await describe(client, join(folder, "x")),
    await describe(client, join(folder, "y")),
  ];
  const messages = await runTask(client, mergeTask(x, y, dataStart), outputDirectory);
  const done = doneOf(messages);
  assert.equal(done.epoch, 4n);
  assert.deepEqual(
    done.outputs.map(({ tensor }) => tensor),
    ["a", "b", "c"],
  );
  assert.equal(done.outputs[1]?.digest, done.outputs[2]?.digest);
  assert.deepEqual(
    done.inputs.map(({ span }) => span?.tensor),
    ["0/model.safetensors/w", "0/model.safetensors/w", "1/model.safetensors/w"],
  );
  for (const { span } of done.inputs) assert.deepEqual(sizes(span), [0n, BigInt(4 * COUNT)]);
  assert.deepEqual(messages[0], { $case: "credits", value: { count: TASKS_AT_ONCE } });
  const progress = messages.findLast((message) => message?.$case === "progress");
  assert.ok(progress?.$case === "progress");
  assert.ok(progress.value.writtenBytes >= BigInt(3 * 4 * COUNT));
  assert.ok(progress.value.readBytes >= BigInt(2 * 4 * COUNT));

  await ask(client, client.syncFile, { outputDirectory, name });
  assert.ok(readFileSync(join(outputDirectory, name)).equals(wanted));
  const spans = done.outputs.map((span, at) => ({
    span: { ...span, digest: "" },
    fileOffsetBytes: BigInt(dataStart + at * 4 * COUNT),
  }));
  const request = { directory: outputDirectory, name, sha256: true, spans };
  const digests = (await all<DigestFileResponse>(client.digestFile(request))).at(-1)?.message;
  assert.ok(digests?.$case === "digests");
  assert.equal(digests.value.sizeBytes, sizeBytes);
  assert.equal(digests.value.sha256, createHash("sha256").update(wanted).digest("hex"));
  assert.deepEqual(digests.value.spans, done.outputs);
});

const sizes = (span: SpanDigest | undefined) => [span?.offsetBytes, span?.lengthBytes];

test("the digests of inputs are those of the source files' bytes", { skip }, async (t) => {
  const { client, folder } = await setUp(t);
  const directory = join(folder, "x");
  writeTree(folder, {
    "x/model.safetensors": floatFile({ w: X }),
    "out/model.safetensors": Buffer.alloc(12 * COUNT),
  });
  const x = await describe(client, directory);
  const done = doneOf(await runTask(client, mergeTask(x, x, 0), join(folder, "out")));
  const fileOffsetBytes = x.tensors.get("w")?.offsetBytes ?? 0n;
  const span = { tensor: "w", offsetBytes: 0n, lengthBytes: BigInt(4 * COUNT), digest: "" };
  const request = {
    directory,
    name: x.file.name,
    sha256: false,
    spans: [{ span, fileOffsetBytes }],
  };
  const digests = (await all<DigestFileResponse>(client.digestFile(request))).at(-1)?.message;
  assert.ok(digests?.$case === "digests");
  assert.equal(digests.value.sha256, "");
  const wanted = digests.value.spans[0]?.digest ?? "none";
  const digestsOf = done.inputs.map((input) => input.span?.digest);
  assert.deepEqual(digestsOf, [wanted, wanted, wanted]);
});

test("a task whose input changed fails by name and the worker lives on", { skip }, async (t) => {
  const { client, folder } = await setUp(t);
  writeTree(folder, {
    "x/model.safetensors": floatFile({ w: X }),
    "y/model.safetensors": floatFile({ w: Y }),
    "out/model.safetensors": Buffer.alloc(12 * COUNT),
  });
  const [x, y] = [
    await describe(client, join(folder, "x")),
    await describe(client, join(folder, "y")),
  ];
  writeFileSync(join(folder, "y/model.safetensors"), floatFile({ w: X }).subarray(0, 5000));
  const messages = await runTask(client, mergeTask(x, y, 0), join(folder, "out"));
  const failed = messages.find((message) => message?.$case === "failed");
  assert.ok(failed?.$case === "failed");
  assert.equal(failed.value.error?.code, "INPUT_CHANGED");
  assert.match(failed.value.error?.message ?? "", /y\/model\.safetensors: changed while/);
  await ask(client, client.getWorker, {});
});

test("a drain finishes the running task, answers it and ends the stream", { skip }, async (t) => {
  const { client, folder, worker } = await setUp(t);
  const directory = join(folder, "x");
  writeTree(folder, {
    "x/model.safetensors": floatFile({ w: X }),
    "out/model.safetensors": Buffer.alloc(12 * COUNT),
  });
  const x = await describe(client, directory);
  const task = mergeTask(x, x, 0);
  const call = client.runTasks();
  const kinds: (string | undefined)[] = [];
  let drained: Promise<void> | undefined;
  for await (const response of call) {
    const { message } = response as RunTasksResponse;
    kinds.push(message?.$case);
    if (drained !== undefined) continue;
    const value = { task, epoch: 1n, outputDirectory: join(folder, "out") };
    call.write(RunTasksRequest.fromPartial({ message: { $case: "assign", value } }));
    await ask(client, client.getWorker, {});
    drained = worker.drain();
  }
  await drained;
  assert.deepEqual([kinds[0], kinds.at(-1)], ["credits", "done"]);
  await assert.rejects(ask(client, client.getWorker, {}), /UNAVAILABLE/);
});

test("a range comes in pieces that together are the file's bytes", { skip }, async (t) => {
  const { client, folder } = await setUp(t);
  const bytes = floatFile({ w: Array.from({ length: 1_500_000 }, (_, at) => at) });
  writeTree(folder, { "x/model.safetensors": bytes });
  const { file } = await describe(client, join(folder, "x"));
  const range = { file, offsetBytes: 7n, lengthBytes: BigInt(bytes.length - 9) };
  const pieces = await all<ReadRangeResponse>(client.readRange(range));
  assert.equal(pieces.length, 3);
  assert.ok(Buffer.concat(pieces.map(({ data }) => data)).equals(bytes.subarray(7, -2)));
  for (const { digest } of pieces) assert.match(digest, /^[0-9a-f]{32}$/);
  const beyond = client.readRange({ ...range, lengthBytes: BigInt(bytes.length) });
  await assert.rejects(all(beyond), /are not inside/);
});

test("measuring storage leaves nothing behind", { skip }, async (t) => {
  const { client, folder } = await setUp(t);
  const directory = join(folder, "m");
  mkdirSync(directory);
  const sizeBytes = 4n * 1024n * 1024n;
  const rates: MeasureStorageResponse = await ask(client, client.measureStorage, {
    directory,
    sizeBytes,
  });
  assert.ok(rates.readBytesPerSecond > 0 && rates.writeBytesPerSecond > 0);
  assert.deepEqual(readdirSync(directory), []);
  const tooMuch = ask(client, client.measureStorage, { directory, sizeBytes: 1n << 50n });
  await assert.rejects(tooMuch, /expected a number in/);
});
