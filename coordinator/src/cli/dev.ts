// coordinator dev: a whole cluster on one machine, for trying things: several worker processes and a
// coordinator that knows them, all gone when it ends. A worker that is killed stays dead, as a machine.
import { startWorkerProcess, type WorkerProcess } from "../rpc/worker-process.js";
import { parseThreads } from "./flags.js";
import { runCoordinator } from "./serve.js";
import { runSession, type Session } from "./session.js";

export interface DevFlags {
  readonly json?: boolean;
  readonly workers?: string;
  readonly listen?: string;
  readonly state?: string;
}

const WORKERS_DEFAULT = "3";
const STATE_DEFAULT = "graft-dev";
/** Room for tiles of a merge of two models. */
const MEMORY_BYTES_MIN = 512 * 1024 * 1024;

export function dev(flags: DevFlags): Promise<void> {
  return runSession({ json: flags.json ?? false }, (session) => runCluster(session, flags));
}

async function runCluster(session: Session, flags: DevFlags): Promise<number> {
  const count = parseThreads("--workers", flags.workers ?? WORKERS_DEFAULT);
  const { workerCommand: command, debug, memoryBytesDefault, threadCountDefault } = session.config;
  const options = {
    ...{ command, debug },
    // They share one machine.
    threadCount: Math.max(1, Math.floor(threadCountDefault / count)),
    memoryBytes: Math.max(MEMORY_BYTES_MIN, Math.floor(memoryBytesDefault / count)),
  };
  const workers: WorkerProcess[] = [];
  try {
    for (let number = 1; number <= count; number += 1) {
      const worker = await startWorkerProcess({ ...options, workerId: `dev-${number}` });
      workers.push(worker);
      await worker.client;
      if (!session.json) session.print(`worker ${number}: process ${worker.processId}\n`);
    }
    const { listen, state = STATE_DEFAULT, json } = flags;
    return await runCoordinator(session, {
      ...{ state, worker: workers.map(({ address }) => address) },
      ...(json === undefined ? {} : { json }),
      ...(listen === undefined ? {} : { listen }),
    });
  } finally {
    await Promise.all(workers.map((worker) => worker[Symbol.asyncDispose]()));
  }
}
