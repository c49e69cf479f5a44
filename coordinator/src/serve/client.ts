// A coordinator as its clients see it: promises and async iterators over the generated client. Every
// call here may be repeated, so one that finds nobody is tried again for a moment.
import { setTimeout as sleep } from "node:timers/promises";
import {
  type CancelRequest,
  type CancelResponse,
  CoordinatorServiceClient,
  GraftError,
  type ListResponse,
  type ListWorkersResponse,
  type LogsResponse,
  type PlanRequest,
  type ResumeResponse,
  type ShowResponse,
  type SubmitRequest,
  type SubmitResponse,
  type WatchResponse,
} from "@graft/proto";
import {
  type CallOptions,
  type ChannelCredentials,
  type ClientReadableStream,
  type ClientUnaryCall,
  credentials,
  Metadata,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import { callError } from "../rpc/call-error.js";

export interface CoordinatorClient extends Disposable {
  /** HOST:PORT. */
  readonly address: string;
  submit(request: SubmitRequest): Promise<SubmitResponse>;
  /** The line of JSON that "plan --json" prints. */
  plan(request: PlanRequest): Promise<string>;
  /** One stream; rejects with COORDINATOR_LOST when it breaks before the job has ended. */
  watch(jobId: string, afterSequence: bigint): AsyncIterable<WatchResponse>;
  list(): Promise<ListResponse>;
  show(jobId: string): Promise<ShowResponse>;
  cancel(request: CancelRequest): Promise<CancelResponse>;
  resume(outputDirectory: string): Promise<ResumeResponse>;
  logs(jobId: string): AsyncIterable<LogsResponse>;
  listWorkers(): Promise<ListWorkersResponse>;
  drainWorker(address: string): Promise<void>;
}

export interface ClientOptions {
  readonly address: string;
  /** Plain when absent. */
  readonly credentials?: ChannelCredentials | undefined;
  readonly signal: AbortSignal;
}

const SECOND_MS = 1000;
/** Answers come from memory or after one fsync; Cancel waits for the job for half a minute. */
const DEADLINE_MS = 60 * SECOND_MS;
const DRAIN_DEADLINE_MS = 30 * 60 * SECOND_MS;
/** A coordinator that is being restarted is back by then. */
const RETRY_FOR_MS = 3 * SECOND_MS;
const RETRY_PAUSE_MS = 200;
const MESSAGE_BYTES_MAX = 16 * 1024 * 1024;

const CHANNEL_OPTIONS = {
  "grpc.max_receive_message_length": MESSAGE_BYTES_MAX,
  "grpc.max_send_message_length": MESSAGE_BYTES_MAX,
  "grpc.keepalive_time_ms": 20 * SECOND_MS,
  "grpc.keepalive_timeout_ms": 30 * SECOND_MS,
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 2 * SECOND_MS,
  "grpc.enable_http_proxy": 0,
  "grpc.enable_retries": 0,
};

type Method<Request, Response> = (
  request: Request,
  metadata: Metadata,
  options: Partial<CallOptions>,
  callback: (error: ServiceError | null, response: Response) => void,
) => ClientUnaryCall;

/** Connects with the first call. */
export function connectCoordinator(options: ClientOptions): CoordinatorClient {
  const { address, signal } = options;
  const secrets = options.credentials ?? credentials.createInsecure();
  const client = new CoordinatorServiceClient(address, secrets, CHANNEL_OPTIONS);

  const once = <Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    deadlineMs: number,
  ): Promise<Response> =>
    new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const limits = { deadline: Date.now() + deadlineMs };
      const call = method.call(client, request, new Metadata(), limits, (error, response) => {
        signal.removeEventListener("abort", onAbort);
        if (error === null) resolve(response);
        else reject(coordinatorError(error, address, signal));
      });
      const onAbort = (): void => call.cancel();
      signal.addEventListener("abort", onAbort, { once: true });
    });
  const unary = async <Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    deadlineMs = DEADLINE_MS,
  ): Promise<Response> => {
    const startMs = performance.now();
    for (;;) {
      try {
        return await once(method, request, deadlineMs);
      } catch (error) {
        const isLost = error instanceof GraftError && error.code === "COORDINATOR_LOST";
        if (!isLost || performance.now() - startMs > RETRY_FOR_MS) throw error;
      }
      await sleep(RETRY_PAUSE_MS, null, { signal });
    }
  };
  const stream = <Response>(call: ClientReadableStream<Response>): AsyncGenerator<Response> =>
    readStream(call, address, signal);

  return {
    address,
    submit: (request) => unary(client.submit, request),
    async plan(request) {
      const pieces: string[] = [];
      for await (const { json } of stream(client.plan(request))) pieces.push(json);
      return pieces.join("");
    },
    watch: (jobId, afterSequence) => stream(client.watch({ jobId, afterSequence })),
    list: () => unary(client.list, {}),
    show: (jobId) => unary(client.show, { jobId }),
    cancel: (request) => unary(client.cancel, request),
    resume: (outputDirectory) => unary(client.resume, { outputDirectory }),
    logs: (jobId) => stream(client.logs({ jobId })),
    listWorkers: () => unary(client.listWorkers, {}),
    async drainWorker(worker) {
      await unary(client.drainWorker, { address: worker }, DRAIN_DEADLINE_MS);
    },
    [Symbol.dispose]: () => client.close(),
  };
}

async function* readStream<Response>(
  stream: ClientReadableStream<Response>,
  address: string,
  signal: AbortSignal,
): AsyncGenerator<Response> {
  const onAbort = (): void => stream.cancel();
  signal.addEventListener("abort", onAbort, { once: true });
  // A reader that stopped early leaves a call behind, whose cancellation is nobody's error.
  stream.on("error", () => undefined);
  try {
    if (signal.aborted) stream.cancel();
    for await (const response of stream) yield response as Response;
  } catch (error) {
    throw coordinatorError(error, address, signal);
  } finally {
    signal.removeEventListener("abort", onAbort);
    stream.cancel();
  }
}

const LOST: ReadonlyMap<unknown, string> = new Map([
  [status.UNAVAILABLE, "cannot be reached"],
  [status.DEADLINE_EXCEEDED, "does not answer"],
  [status.CANCELLED, "dropped the call"],
]);

/** What the coordinator said, or that there is none. */
function coordinatorError(error: unknown, address: string, signal: AbortSignal): GraftError {
  const failure = callError(error, address, signal);
  if (failure.code !== "WORKER_LOST" && failure.code !== "COORDINATOR_LOST") return failure;
  const code = error instanceof Error && "code" in error ? error.code : null;
  const problem = failure.details.problem ?? "";
  const said = failure.code === "COORDINATOR_LOST" ? problem : (LOST.get(code) ?? problem);
  return new GraftError("COORDINATOR_LOST", { address, problem: said }, { cause: error });
}
