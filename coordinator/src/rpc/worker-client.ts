// One worker as the coordinator sees it: promises and async iterators over the generated client.
// Every failure is a GraftError; every call ends, by answer, deadline, silence or abort.
import type { EventEmitter } from "node:events";
import {
  type CopySideFileRequest,
  type CopySideFileResponse,
  type DescribeModelRequest,
  type DescribeModelResponse,
  type DigestFileRequest,
  type FileDigests,
  type GetWorkerResponse,
  GraftError,
  type MeasureStorageRequest,
  type MeasureStorageResponse,
  type PrepareFileRequest,
  type SyncFileRequest,
  type WeightFile,
  WorkerServiceClient,
} from "@graft/proto";
import {
  type CallOptions,
  type ChannelCredentials,
  type ClientReadableStream,
  type ClientUnaryCall,
  credentials,
  Metadata,
  type ServiceError,
} from "@grpc/grpc-js";
import { callError } from "./call-error.js";
import { openTaskStream, type TaskStream } from "./task-stream.js";

export interface CallControl {
  readonly signal?: AbortSignal | undefined;
}

export interface DigestControl extends CallControl {
  /** Bytes of the file read so far. */
  readonly onProgress?: ((readBytes: number) => void) | undefined;
}

export interface WorkerClient {
  /**
   * Resolves when the worker answers, within seconds; rejects with WORKER_LOST. A peer that accepts
   * and says nothing is noticed by nothing else: keepalive takes half a minute, once connected.
   */
  ready(): Promise<void>;
  getWorker(control?: CallControl): Promise<GetWorkerResponse>;
  describeModel(
    request: DescribeModelRequest,
    control?: CallControl,
  ): AsyncIterable<DescribeModelResponse>;
  prepareFile(request: PrepareFileRequest, control?: CallControl): Promise<void>;
  copySideFile(request: CopySideFileRequest, control?: CallControl): Promise<CopySideFileResponse>;
  syncFile(request: SyncFileRequest, control?: CallControl): Promise<void>;
  digestFile(request: DigestFileRequest, control?: DigestControl): Promise<FileDigests>;
  measureStorage(
    request: MeasureStorageRequest,
    control?: CallControl,
  ): Promise<MeasureStorageResponse>;
  /** Reads one byte of the pinned file; rejects with what is wrong with it there. */
  probeFile(file: WeightFile, control?: CallControl): Promise<void>;
  runTasks(): TaskStream;
  /** Idempotent. */
  close(): void;
}

const MESSAGE_BYTES_MAX = 64 * 1024 * 1024;
const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
/** With the connection, where there is none yet. */
const ANSWER_DEADLINE_MS = 10 * SECOND_MS;
/** Facts are answered from memory. */
const FACTS_DEADLINE_MS = 30 * SECOND_MS;
/** Preallocation without file system support writes every byte. */
const FILE_DEADLINE_MS = 30 * MINUTE_MS;
const MEASURE_DEADLINE_MS = 2 * MINUTE_MS;
/** A stream that says nothing for this long is given up. */
const SILENCE_MAX_MS = 2 * MINUTE_MS;

const CHANNEL_OPTIONS = {
  "grpc.max_receive_message_length": MESSAGE_BYTES_MAX,
  "grpc.max_send_message_length": MESSAGE_BYTES_MAX,
  // Silence of half a minute is a lost worker; a lossy line is silent for less.
  "grpc.keepalive_time_ms": 10 * SECOND_MS,
  "grpc.keepalive_timeout_ms": 20 * SECOND_MS,
  "grpc.enable_http_proxy": 0,
  // Retries are the scheduler's, which counts them.
  "grpc.enable_retries": 0,
};

type UnaryMethod<Request, Response> = (
  request: Request,
  metadata: Metadata,
  options: Partial<CallOptions>,
  callback: (error: ServiceError | null, response: Response) => void,
) => ClientUnaryCall;

/**
 * `address` is a gRPC target such as unix:/run/worker.sock; `worker` names it in messages. Without
 * credentials the channel is plain, which is right for a socket that only this user can open.
 */
export function connectWorker(
  address: string,
  worker: string,
  secrets: ChannelCredentials = credentials.createInsecure(),
): WorkerClient {
  const client = new WorkerServiceClient(address, secrets, CHANNEL_OPTIONS);

  const unary = <Request, Response>(
    method: UnaryMethod<Request, Response>,
    request: Request,
    deadlineMs: number,
    control: CallControl | undefined,
  ): Promise<Response> =>
    new Promise((resolve, reject) => {
      const signal = control?.signal;
      if (signal?.aborted) return reject(signal.reason);
      const options = { deadline: Date.now() + deadlineMs };
      const call = method.call(client, request, new Metadata(), options, (error, response) => {
        signal?.removeEventListener("abort", onAbort);
        if (error === null) resolve(response);
        else reject(callError(error, worker, signal));
      });
      const onAbort = (): void => call.cancel();
      signal?.addEventListener("abort", onAbort, { once: true });
    });

  return {
    async ready() {
      await unary(client.getWorker, {}, ANSWER_DEADLINE_MS, undefined);
    },
    getWorker: (control) => unary(client.getWorker, {}, FACTS_DEADLINE_MS, control),
    describeModel: (request, control) =>
      readStream(client.describeModel(request), worker, control?.signal),
    async prepareFile(request, control) {
      await unary(client.prepareFile, request, FILE_DEADLINE_MS, control);
    },
    copySideFile: (request, control) =>
      unary(client.copySideFile, request, FILE_DEADLINE_MS, control),
    async syncFile(request, control) {
      await unary(client.syncFile, request, FILE_DEADLINE_MS, control);
    },
    async digestFile(request, control) {
      const stream = readStream(client.digestFile(request), worker, control?.signal);
      let digests: FileDigests | null = null;
      for await (const { message } of stream) {
        if (message?.$case === "readBytes") control?.onProgress?.(Number(message.value));
        if (message?.$case === "digests") digests = message.value;
      }
      if (digests !== null) return digests;
      throw new GraftError("WORKER_LOST", { worker, problem: "digests are missing in its answer" });
    },
    measureStorage: (request, control) =>
      unary(client.measureStorage, request, MEASURE_DEADLINE_MS, control),
    async probeFile(file, control) {
      const request = { file, offsetBytes: 0n, lengthBytes: 1n };
      for await (const _ of readStream(client.readRange(request), worker, control?.signal));
    },
    runTasks: () => openTaskStream(client.runTasks(), worker),
    close: () => client.close(),
  };
}

/** The stream with errors translated, aborted by the signal or by silence. */
async function* readStream<Response>(
  stream: ClientReadableStream<Response>,
  worker: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Response> {
  let silent = false;
  const onAbort = (): void => stream.cancel();
  const timer = setTimeout(() => {
    silent = true;
    stream.cancel();
  }, SILENCE_MAX_MS);
  if (signal?.aborted) stream.cancel();
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    for await (const response of stream) {
      timer.refresh();
      yield response as Response;
    }
  } catch (error) {
    if (silent) throw new GraftError("WORKER_LOST", { worker, problem: "stopped answering" });
    throw callError(error, worker, signal);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
    // A reader that stopped early leaves a call behind, whose cancellation is nobody's error.
    (stream as EventEmitter).on("error", () => undefined);
    stream.cancel();
  }
}
