// The methods of graft.v1.WorkerService, each a few lines over the part that does the work. Requests
// come from a coordinator that may be of another version, so every name and number is checked.
import {
  digestFile,
  type Engine,
  measureStorage,
  prepareFile,
  readHeader,
  syncFile,
} from "@graft/native";
import {
  type DigestFileRequest,
  type DigestFileResponse,
  type GetWorkerResponse,
  GraftError,
  type RunTasksRequest,
  type RunTasksResponse,
  type WorkerServiceServer,
} from "@graft/proto";
import type { ServerDuplexStream } from "@grpc/grpc-js";
import { toStatus } from "../errors.js";
import { describeModel } from "../models/describe.js";
import { checkDirectory, copySideFile, joinPlain } from "../output/files.js";
import type { Weights } from "../peers/weights.js";
import { createTaskStream, DRAINING, TASKS_AT_ONCE, type TaskStream } from "../run/stream.js";
import { type ResponseStream, serverStream, unary } from "./adapt.js";

const MIB = 1024 * 1024;
const MEASURE_BYTES_MIN = BigInt(MIB);
const MEASURE_BYTES_MAX = 16n * 1024n * BigInt(MIB);

type TaskCall = ServerDuplexStream<RunTasksRequest, RunTasksResponse>;

/** What does not change while the worker lives. */
export type WorkerFacts = Omit<GetWorkerResponse, "runningTaskCount" | "draining">;

export interface WorkerServiceOptions {
  readonly engine: Engine;
  readonly facts: WorkerFacts;
  readonly weights: Weights;
  /** Called once, when the first Drain arrives. */
  readonly onDrain: () => void;
}

export interface WorkerService extends AsyncDisposable {
  readonly implementation: WorkerServiceServer;
  /** Takes no more tasks; resolves when the running ones are done and answered. Idempotent. */
  drain(): Promise<void>;
}

export function createWorkerService(options: WorkerServiceOptions): WorkerService {
  const { engine, facts, weights, onDrain } = options;
  const streams = new Map<TaskStream, TaskCall>();
  let draining = false;

  const close = async (stream: TaskStream): Promise<void> => {
    await stream[Symbol.asyncDispose]();
    streams.get(stream)?.end();
    streams.delete(stream);
  };
  const countTasks = (): number =>
    [...streams.keys()].reduce((total, stream) => total + stream.taskCount, 0);
  const drainStream = async (stream: TaskStream): Promise<void> => {
    await stream.drain();
    await close(stream);
  };
  const drain = async (): Promise<void> => {
    if (!draining) onDrain();
    draining = true;
    await Promise.all([...streams.keys()].map(drainStream));
  };

  const runTasks = (call: TaskCall): void => {
    if (draining) {
      const details = { worker: facts.workerId, problem: DRAINING };
      const refusal = new GraftError("WORKER_LOST", details);
      call.emit("error", toStatus(refusal));
      return;
    }
    const stream = createTaskStream({
      taskCountMax: TASKS_AT_ONCE,
      engine,
      workerId: facts.workerId,
      send: (response) => call.write(response),
      nowMs: () => performance.now(),
      residentMemoryBytes: () => process.memoryUsage.rss(),
      resolveInputs: weights.resolveInputs,
      transfers: weights.transfers,
    });
    streams.set(stream, call);
    call.on("data", (request: RunTasksRequest) => stream.handle(request));
    // A caller that has nothing more to assign still waits for what runs; one that has gone does not.
    call.on("end", () => drainStream(stream));
    call.on("error", () => close(stream));
    call.on("cancelled", () => close(stream));
  };

  return {
    implementation: {
      ...fileMethods,
      getWorker: unary(() => ({ ...facts, draining, runningTaskCount: countTasks() })),
      readRange: weights.serveRange,
      runTasks,
      drain: unary(async () => {
        await drain();
        return {};
      }),
    },
    drain,
    [Symbol.asyncDispose]: async () => {
      await Promise.all([...streams.keys()].map(close));
    },
  };
}

/** The methods that need no engine and keep no state. */
const fileMethods = {
  describeModel: serverStream(async (request, { signal, write }) => {
    for await (const response of describeModel(request, { readHeader })) {
      signal.throwIfAborted();
      await write(response);
    }
  }),
  prepareFile: unary(async ({ outputDirectory, name, sizeBytes, header }) => {
    if (sizeBytes < 0n || BigInt(header.length) > sizeBytes) {
      const problem = `expected at least the header's ${header.length} bytes, got ${sizeBytes}`;
      throw new GraftError("FLAG", { flag: "size_bytes", problem });
    }
    await prepareFile(joinPlain(outputDirectory, name), sizeBytes, header);
    return {};
  }),
  copySideFile: unary((request, signal) => copySideFile({ ...request, signal })),
  syncFile: unary(async ({ outputDirectory, name }) => {
    await syncFile(joinPlain(outputDirectory, name));
    return {};
  }),
  digestFile: serverStream(digest),
  measureStorage: unary(({ directory, sizeBytes }) => {
    checkDirectory(directory);
    if (sizeBytes >= MEASURE_BYTES_MIN && sizeBytes <= MEASURE_BYTES_MAX) {
      return measureStorage(directory, sizeBytes);
    }
    const bounds = `[${MEASURE_BYTES_MIN}, ${MEASURE_BYTES_MAX}]`;
    const problem = `expected a number in ${bounds}, got ${sizeBytes}`;
    throw new GraftError("FLAG", { flag: "size_bytes", problem });
  }),
} satisfies Partial<WorkerServiceServer>;

async function digest(
  { directory, name, sha256, spans }: DigestFileRequest,
  { signal, write }: ResponseStream<DigestFileResponse>,
): Promise<void> {
  const ranges = spans.map(({ span, fileOffsetBytes }) => ({
    offsetBytes: fileOffsetBytes,
    lengthBytes: span?.lengthBytes ?? 0n,
  }));
  let finished = false;
  const onProgress = (readBytes: bigint): void => {
    // The last report may arrive after the result.
    if (finished) return;
    // Progress that cannot be sent is no failure: the digest itself notices a caller that has gone.
    write({ message: { $case: "readBytes", value: readBytes } }).catch(() => undefined);
  };
  const result = await digestFile(joinPlain(directory, name), ranges, {
    sha256,
    signal,
    onProgress,
  });
  finished = true;
  const digests = spans.map(({ span }, at) => ({
    tensor: span?.tensor ?? "",
    offsetBytes: span?.offsetBytes ?? 0n,
    lengthBytes: span?.lengthBytes ?? 0n,
    digest: result.spanDigests[at] ?? "",
  }));
  const value = { sizeBytes: result.sizeBytes, sha256: result.sha256 ?? "", spans: digests };
  await write({ message: { $case: "digests", value } });
}
