// Keeps one private worker alive: a new process takes the place of one that died, under a new worker
// id, so that results of the dead one are never mistaken for results of its successor.
import { GraftError } from "@graft/proto/errors";
import type { WorkerClient } from "./worker-client.js";
import {
  startWorkerProcess,
  type WorkerProcess,
  type WorkerProcessOptions,
} from "./worker-process.js";
import type { Connection, Member, Workers } from "./workers.js";

export interface PrivateWorker extends Workers, AsyncDisposable {
  /** The living process, started or restarted when there is none. */
  current(): Promise<WorkerProcess>;
}

/** Of one call: a request that kills workers must not do so for ever. */
const DEATHS_MAX = 3;

export type PrivateWorkerOptions = Omit<WorkerProcessOptions, "workerId">;

/** Starts the first process at once, so that it boots while the caller does something else. */
export function createPrivateWorker(options: PrivateWorkerOptions): PrivateWorker {
  return new SupervisedWorker(options);
}

class SupervisedWorker implements PrivateWorker, Member {
  readonly name = "local";
  readonly isPrivate = true;
  readonly members = [this];
  readonly #options: PrivateWorkerOptions;
  #process: Promise<WorkerProcess>;
  #started = 0;
  #disposed = false;

  constructor(options: PrivateWorkerOptions) {
    this.#options = options;
    this.#process = this.#start();
  }

  #start(): Promise<WorkerProcess> {
    this.#started += 1;
    const started = startWorkerProcess({ ...this.#options, workerId: `local-${this.#started}` });
    started.catch(() => undefined);
    return started;
  }

  async current(): Promise<WorkerProcess> {
    if (this.#disposed) throw new GraftError("CANCELLED");
    const promise = this.#process;
    const process = await promise;
    if ((await deathOf(process)) === null) return process;
    await process[Symbol.asyncDispose]();
    // Somebody else may have replaced it meanwhile.
    if (this.#process === promise) this.#process = this.#start();
    return this.current();
  }

  async answering(): Promise<WorkerClient> {
    return (await this.current()).client;
  }

  async connect(): Promise<Connection> {
    const process = await this.current();
    const { workerId } = process;
    const drop = async (): Promise<string | null> => {
      const death = await deathSoon(process);
      await process[Symbol.asyncDispose]();
      return death;
    };
    return { workerId, client: await process.client, drop };
  }

  /** The last failure names how the process ended. */
  async use<Result>(call: (client: WorkerClient) => Promise<Result>): Promise<Result> {
    for (let attempt = 1; ; attempt += 1) {
      const process = await this.current();
      try {
        return await call(await process.client);
      } catch (error) {
        const lost = GraftError.from(error);
        const death = lost.code === "WORKER_LOST" ? await deathSoon(process) : null;
        if (death === null || this.#disposed) throw lost;
        if (attempt < DEATHS_MAX) continue;
        throw new GraftError("WORKER_LOST", { worker: process.workerId, problem: death });
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    const process = await this.#process.catch(() => null);
    await process?.[Symbol.asyncDispose]();
  }
}

/** The connection breaks a moment before the exit is known. */
const DEATH_KNOWN_WITHIN_MS = 2_000;

/** How the process died, or null when it still lives after a short wait. */
function deathSoon(process: WorkerProcess): Promise<string | null> {
  return deathWithin(process, DEATH_KNOWN_WITHIN_MS);
}

function deathOf(process: WorkerProcess): Promise<string | null> {
  return deathWithin(process, 0);
}

async function deathWithin(process: WorkerProcess, ms: number): Promise<string | null> {
  let timer: NodeJS.Timeout | undefined;
  const alive = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), ms);
  });
  try {
    return await Promise.race([process.exited, alive]);
  } finally {
    clearTimeout(timer);
  }
}
