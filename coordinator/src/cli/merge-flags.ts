// The flags that several commands share, from text to options. Defaults are named here once.

import type { TlsFlags } from "@graft/proto";
import { GraftError } from "@graft/proto/errors";
import type { Config } from "../config.js";
import type { PlanRequest } from "../jobs/plan-merge.js";
import { createPrivateWorker } from "../rpc/private-worker.js";
import type { Workers } from "../rpc/workers.js";
import { parseAddresses, parseModels, parseSeed, parseSize, parseThreads } from "./flags.js";

/** As commander hands them over. */
export interface RecipeFlags {
  readonly model: readonly string[];
  readonly seed?: string;
  readonly maxShardSize?: string;
  readonly lenient?: boolean;
  readonly json?: boolean;
}

export interface WorkerFlags extends TlsFlags {
  /** Addresses of a static cluster. */
  readonly worker?: readonly string[];
  readonly memory?: string;
  readonly threads?: string;
}

/** What the hub's own tools cut shards at. */
export const MAX_SHARD_SIZE_BYTES_DEFAULT = 5e9;

export function planRequest(recipePath: string, flags: RecipeFlags): PlanRequest {
  const workingDirectory = process.cwd();
  const { maxShardSize, seed } = flags;
  return {
    recipePath,
    recipeText: null,
    models: parseModels("--model", flags.model, workingDirectory),
    workingDirectory,
    seed: seed === undefined ? 0n : parseSeed("--seed", seed),
    maxShardSizeBytes:
      maxShardSize === undefined
        ? MAX_SHARD_SIZE_BYTES_DEFAULT
        : parseSize("--max-shard-size", maxShardSize),
    lenient: flags.lenient ?? false,
  };
}

/** Our own process when no worker is named; call it before anything slow is loaded: it boots meanwhile. */
export async function startWorkers(
  flags: WorkerFlags,
  config: Config,
): Promise<Workers & AsyncDisposable> {
  const { worker: addresses = [], memory, threads, insecure = false } = flags;
  if (addresses.length === 0) {
    const { workerCommand: command, debug, memoryBytesDefault, threadCountDefault } = config;
    const memoryBytes = memory === undefined ? memoryBytesDefault : parseSize("--memory", memory);
    const threadCount =
      threads === undefined ? threadCountDefault : parseThreads("--threads", threads);
    return createPrivateWorker({ command, debug, memoryBytes, threadCount });
  }
  refuseWith("--worker", { "--memory": memory, "--threads": threads });
  // Loaded for clusters only: what TLS needs takes as long to load as a private worker to start.
  const { tlsPaths } = await import("@graft/proto");
  const paths = tlsPaths(flags, process.env);
  const parsed = parseAddresses("--worker", addresses, insecure || paths !== null);
  const { createRemoteWorkers } = await import("../rpc/remote-workers.js");
  const { credentialsFor } = await import("../tls/channel.js");
  const { readTlsFiles } = await import("../tls/tls-files.js");
  const rules = { roles: ["coordinator"], nowMs: Date.now } as const;
  const warn = (text: string): void => void process.stderr.write(`${text}\n`);
  const files = paths === null ? null : await readTlsFiles(paths, rules, warn);
  return createRemoteWorkers({ addresses: parsed, credentials: credentialsFor(files, "worker") });
}

/** The bounds of a worker that somebody else started are its own. */
function refuseWith(flag: string, others: Readonly<Record<string, string | undefined>>): void {
  for (const [name, value] of Object.entries(others)) {
    if (value === undefined) continue;
    throw new GraftError("FLAG", {
      flag: name,
      problem: `belongs to the worker, not with ${flag}`,
    });
  }
}
