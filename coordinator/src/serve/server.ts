// A running coordinator: jobs, service, health and the listening socket, owned together. Stopping
// interrupts the jobs so that the next start goes on with them.
import { promisify } from "node:util";
import { CoordinatorServiceService } from "@graft/proto";
import { GraftError } from "@graft/proto/errors";
import { Server, type ServerCredentials } from "@grpc/grpc-js";
import { HealthImplementation } from "grpc-health-check";
import { createHandlers } from "./handlers.js";
import { openJobStore } from "./job-store.js";
import { Jobs } from "./jobs.js";
import type { Roster } from "./roster.js";
import type { PlanJob, RunJob } from "./run-job.js";

export interface CoordinatorOptions {
  /** HOST:PORT; port 0 takes a free one. */
  readonly listen: string;
  readonly credentials: ServerCredentials;
  readonly stateDirectory: string;
  readonly jobsAtOnce: number;
  readonly runJob: RunJob;
  readonly planJob: PlanJob;
  readonly roster: Roster;
  readonly log: (text: string) => void;
}

export interface Coordinator extends AsyncDisposable {
  readonly port: number;
}

const MESSAGE_BYTES_MAX = 16 * 1024 * 1024;
const KEEPALIVE_INTERVAL_MS = 20_000;
const KEEPALIVE_TIMEOUT_MS = 30_000;
/** For answers that are on their way when it stops. */
const FINISH_CALLS_MS = 1_000;
const HEALTH_NAMES = ["", "graft.v1.CoordinatorService"];

/** Throws STATE_LOCKED, or FLAG when it cannot listen; unfinished jobs go on as soon as it serves. */
export async function startCoordinator(options: CoordinatorOptions): Promise<Coordinator> {
  const { listen, credentials, stateDirectory } = options;
  const store = await openJobStore(stateDirectory);
  const server = new Server({
    "grpc.max_receive_message_length": MESSAGE_BYTES_MAX,
    "grpc.max_send_message_length": MESSAGE_BYTES_MAX,
    "grpc.keepalive_time_ms": KEEPALIVE_INTERVAL_MS,
    "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
  });
  try {
    const { runJob, planJob, roster, jobsAtOnce, log } = options;
    const jobs = new Jobs({ store, runJob, jobsAtOnce, log, name: listen, now: Date.now });
    const health = new HealthImplementation();
    server.addService(CoordinatorServiceService, createHandlers({ jobs, planJob, roster }));
    health.addToServer(server);
    const port = await bind(server, listen, credentials);
    jobs.start();
    for (const name of HEALTH_NAMES) health.setStatus(name, "SERVING");
    let stopping: Promise<void> | undefined;
    const stop = async (): Promise<void> => {
      for (const name of HEALTH_NAMES) health.setStatus(name, "NOT_SERVING");
      await jobs[Symbol.asyncDispose]();
      await finishCalls(server);
      server.forceShutdown();
    };
    return {
      port,
      [Symbol.asyncDispose]: () => {
        stopping ??= stop();
        return stopping;
      },
    };
  } catch (error) {
    server.forceShutdown();
    await store[Symbol.asyncDispose]();
    throw error;
  }
}

async function bind(
  server: Server,
  listen: string,
  credentials: ServerCredentials,
): Promise<number> {
  try {
    return await promisify(server.bindAsync.bind(server))(listen, credentials);
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    const problem = text.includes("EADDRINUSE") ? `${listen}: another process listens there` : text;
    throw new GraftError("FLAG", { flag: "--listen", problem }, { cause: error });
  }
}

/** Waits, but not long, until the open calls have ended and their answers are sent. */
function finishCalls(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, FINISH_CALLS_MS);
    server.tryShutdown(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
