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
  /** A task is given to another worker when its own moved nothing for this long. */
  readonly leaseTtlMs: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

const GIB = 1024 ** 3;
/** Enough for any merge at full speed; more only pushes the page cache out. */
const MEMORY_BYTES_DEFAULT_MAX = 4 * GIB;
/** Longer than the longest stall of a healthy disk, shorter than a user's patience. */
const LEASE_TTL_MS_DEFAULT = 60_000;
/** From coordinator/dist. */
const WORKER_ENTRY = fileURLToPath(new URL("../../worker/bin/worker.js", import.meta.url));

export function readConfig(environment: Environment): Config {
  const command = environment.GRAFT_WORKER_COMMAND?.trim();
  return Object.freeze({
    workerCommand: command ? command.split(/\s+/) : [process.execPath, WORKER_ENTRY],
    debug: environment.GRAFT_DEBUG === "1",
    memoryBytesDefault: Math.min(MEMORY_BYTES_DEFAULT_MAX, Math.floor(totalmem() / 2)),
    threadCountDefault: availableParallelism(),
    leaseTtlMs: readMilliseconds(environment.GRAFT_LEASE_MS, LEASE_TTL_MS_DEFAULT),
  });
}

/** A value that means nothing is ignored: it is for tests and for very slow disks. */
function readMilliseconds(text: string | undefined, otherwise: number): number {
  const value = /^\d{3,7}$/.test(text ?? "") ? Number(text) : 0;
  return value > 0 ? value : otherwise;
}
