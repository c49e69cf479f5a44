// The flags that several commands share, from text to options. Defaults are named here once.
import type { Config } from "../config.js";
import type { PlanRequest } from "../jobs/plan-merge.js";
import { createPrivateWorker, type PrivateWorker } from "../rpc/private-worker.js";
import { parseModels, parseSeed, parseSize, parseThreads } from "./flags.js";

/** As commander hands them over. */
export interface RecipeFlags {
  readonly model: readonly string[];
  readonly seed?: string;
  readonly maxShardSize?: string;
  readonly lenient?: boolean;
  readonly json?: boolean;
}

export interface WorkerFlags {
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

export interface WorkerBounds {
  readonly memoryBytes: number;
  readonly threadCount: number;
}

export function workerBounds({ memory, threads }: WorkerFlags, config: Config): WorkerBounds {
  return {
    memoryBytes: memory === undefined ? config.memoryBytesDefault : parseSize("--memory", memory),
    threadCount:
      threads === undefined ? config.threadCountDefault : parseThreads("--threads", threads),
  };
}

/** Call it before anything slow is loaded: it boots meanwhile. */
export function startWorker(config: Config, bounds: WorkerBounds): PrivateWorker {
  const { workerCommand: command, debug } = config;
  return createPrivateWorker({ command, debug, ...bounds });
}
