// The workers behind a coordinator, as people ask about them: the listed ones, and those that jobs have
// started for themselves. Asked afresh each time; nothing is remembered.
import {
  type GetWorkerResponse,
  GraftError,
  WorkerServiceClient,
  WorkerState,
  type WorkerStatus,
} from "@graft/proto";
import { type ChannelCredentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import { callError } from "../rpc/call-error.js";
import type { Workers } from "../rpc/workers.js";

export interface RosterOptions {
  readonly addresses: readonly string[];
  readonly credentials: ChannelCredentials;
}

export interface Roster {
  list(): Promise<readonly WorkerStatus[]>;
  /** Resolves when the worker's running tasks are done. */
  drain(address: string, signal: AbortSignal): Promise<void>;
  /** Lists the workers of a job until the result is disposed. */
  include(jobId: string, workers: Workers): Disposable;
}

/** Facts are answered from memory; a list does not wait longer for a machine that is gone. */
const ANSWER_DEADLINE_MS = 3_000;
/** A task takes seconds; a worker that has not finished by then is looked at by a person. */
const DRAIN_DEADLINE_MS = 30 * 60_000;

const NOBODY: Omit<WorkerStatus, "address" | "problem"> = {
  state: WorkerState.WORKER_STATE_UNREACHABLE,
  workerId: "",
  threadCount: 0,
  memoryLimitBytes: 0n,
  runningTaskCount: 0,
  isa: "",
  kernelVersion: "",
  jobId: "",
};

export function createRoster({ addresses, credentials }: RosterOptions): Roster {
  const own = new Map<string, Workers>();

  const listed = async (address: string): Promise<WorkerStatus> => {
    try {
      const facts = await call<GetWorkerResponse>(
        address,
        credentials,
        ANSWER_DEADLINE_MS,
        (client, ...rest) => client.getWorker({}, ...rest),
      );
      return statusOf(address, "", facts);
    } catch (error) {
      return { ...NOBODY, address, problem: GraftError.from(error).message };
    }
  };
  const started = async (jobId: string, workers: Workers): Promise<WorkerStatus> => {
    const signal = AbortSignal.timeout(ANSWER_DEADLINE_MS);
    try {
      const facts = await workers.use((client) => client.getWorker({ signal }));
      return statusOf("local", jobId, facts);
    } catch (error) {
      return { ...NOBODY, address: "local", jobId, problem: GraftError.from(error).message };
    }
  };

  return {
    list: () =>
      Promise.all([
        ...addresses.map(listed),
        ...[...own].map(([jobId, workers]) => started(jobId, workers)),
      ]),
    async drain(address, signal) {
      if (!addresses.includes(address)) {
        const workers = addresses.length === 0 ? "none" : addresses.join(", ");
        throw new GraftError("WORKER_UNKNOWN", { worker: address, workers });
      }
      await call(
        address,
        credentials,
        DRAIN_DEADLINE_MS,
        (client, ...rest) => client.drain({}, ...rest),
        signal,
      );
    },
    include(jobId, workers) {
      // Those that are listed anyway are not the job's own.
      if (addresses.length === 0) own.set(jobId, workers);
      return { [Symbol.dispose]: () => void own.delete(jobId) };
    },
  };
}

function statusOf(address: string, jobId: string, facts: GetWorkerResponse): WorkerStatus {
  const { workerId, threadCount, memoryLimitBytes, runningTaskCount, isa, kernelVersion } = facts;
  const { WORKER_STATE_DRAINING, WORKER_STATE_SERVING } = WorkerState;
  return {
    ...{ address, jobId, workerId, threadCount, memoryLimitBytes, runningTaskCount },
    ...{ isa, kernelVersion, problem: "" },
    state: facts.draining ? WORKER_STATE_DRAINING : WORKER_STATE_SERVING,
  };
}

type Answer<Response> = (error: ServiceError | null, response: Response) => void;

/** One call on a channel of its own. */
async function call<Response>(
  address: string,
  credentials: ChannelCredentials,
  deadlineMs: number,
  method: (
    client: WorkerServiceClient,
    metadata: Metadata,
    options: { readonly deadline: number },
    answer: Answer<Response>,
  ) => { cancel(): void },
  signal?: AbortSignal,
): Promise<Response> {
  const client = new WorkerServiceClient(address, credentials, { "grpc.enable_http_proxy": 0 });
  try {
    return await new Promise((resolve, reject) => {
      const options = { deadline: Date.now() + deadlineMs };
      const running = method(client, new Metadata(), options, (error, response) => {
        if (error === null) resolve(response);
        else reject(callError(error, address, signal));
      });
      signal?.addEventListener("abort", () => running.cancel(), { once: true });
    });
  } finally {
    client.close();
  }
}
