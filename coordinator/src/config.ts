// The coordinator's configuration from the environment: read once, complete, frozen. Flags are the
// command's own; everything else that the process depends on is here.
import { availableParallelism, totalmem } from "node:os";
import { fileURLToPath } from "node:url";

export interface Config {
  /** Program and first arguments of the private worker. */
  readonly workerCommand: readonly string[];
  /** Stack traces and the worker's log on standard error. */
  readonly debug: boolean;
  readonly memoryBytesDefault: number;
  readonly threadCountDefault: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

const GIB = 1024 ** 3;
/** Enough for any merge at full speed; more only pushes the page cache out. */
const MEMORY_BYTES_DEFAULT_MAX = 4 * GIB;
/** From coordinator/dist. */
const WORKER_ENTRY = fileURLToPath(new URL("../../worker/bin/worker.js", import.meta.url));

export function readConfig(environment: Environment): Config {
  const command = environment.GRAFT_WORKER_COMMAND?.trim();
  return Object.freeze({
    workerCommand: command ? command.split(/\s+/) : [process.execPath, WORKER_ENTRY],
    debug: environment.GRAFT_DEBUG === "1",
    memoryBytesDefault: Math.min(MEMORY_BYTES_DEFAULT_MAX, Math.floor(totalmem() / 2)),
    threadCountDefault: availableParallelism(),
  });
}
