// Between jobs and their messages. Requests come from anybody who may connect, so every field is
// checked; what leaves is only turned round.
import { isAbsolute, resolve } from "node:path";
import {
  GraftError,
  type Job as JobMessage,
  type JobOptions,
  JobState,
  quoted,
  type SubmitRequest,
} from "@graft/proto";
import type { Job } from "./job.js";
import type { JobSpec, JobStateName } from "./job-record.js";
import { checkRecipe } from "./recipe-check.js";

const JOB_ID = /^[0-9a-f]{32,64}$/;
const RECIPE_LENGTH_MAX = 1024 * 1024;
const SEED_MAX = 2n ** 63n - 1n;

function invalid(field: string, problem: string): GraftError {
  return new GraftError("FLAG", { flag: field, problem });
}

export function readJobId(text: string): string {
  if (JOB_ID.test(text)) return text;
  throw invalid("job_id", `expected 32 to 64 hexadecimal digits, got ${quoted(text)}`);
}

export function readDirectory(field: string, path: string): string {
  if (isAbsolute(path) && !path.includes("\0")) return resolve(path);
  throw invalid(field, `expected an absolute path, got ${quoted(path)}`);
}

export type RecipeRequest = Omit<SubmitRequest, "jobId" | "outputDirectory">;

/** Throws FLAG for a field and RECIPE for everything that the recipe's text alone shows to be wrong. */
export function readRecipeRequest(request: RecipeRequest): Omit<JobSpec, "outputDirectory"> {
  const { recipeText, options } = request;
  if (options === undefined) throw invalid("options", "missing");
  const { seed, lenient, force, sha256, paranoid, models } = options;
  const maxShardSizeBytes = Number(options.maxShardSizeBytes);
  if (seed < 0n || seed > SEED_MAX) throw invalid("seed", `expected at least 0, got ${seed}`);
  if (!Number.isSafeInteger(maxShardSizeBytes) || maxShardSizeBytes < 1) {
    throw invalid("max_shard_size_bytes", `expected at least 1, got ${maxShardSizeBytes}`);
  }
  if (recipeText.length > RECIPE_LENGTH_MAX) {
    const problem = `${recipeText.length} characters, more than a recipe may have`;
    throw invalid("recipe_text", `${problem} (${RECIPE_LENGTH_MAX})`);
  }
  const recipePath = readDirectory("recipe_path", request.recipePath);
  const { error } = checkRecipe(recipePath, recipeText, lenient);
  if (error !== null) throw error;
  return {
    recipePath,
    recipeText,
    workingDirectory: readDirectory("working_directory", request.workingDirectory),
    models,
    seed: String(seed),
    ...{ maxShardSizeBytes, lenient, force, sha256, paranoid },
  };
}

export function writeOptions(spec: JobSpec): JobOptions {
  const { models, seed, maxShardSizeBytes, lenient, force, sha256, paranoid } = spec;
  return {
    seed: BigInt(seed),
    maxShardSizeBytes: BigInt(maxShardSizeBytes),
    models: { ...models },
    ...{ lenient, force, sha256, paranoid },
  };
}

const STATES: Readonly<Record<JobStateName, JobState>> = {
  queued: JobState.JOB_STATE_QUEUED,
  planning: JobState.JOB_STATE_PLANNING,
  running: JobState.JOB_STATE_RUNNING,
  publishing: JobState.JOB_STATE_PUBLISHING,
  cancelling: JobState.JOB_STATE_CANCELLING,
  done: JobState.JOB_STATE_DONE,
  failed: JobState.JOB_STATE_FAILED,
  cancelled: JobState.JOB_STATE_CANCELLED,
};

export function writeState(state: JobStateName): JobState {
  return STATES[state];
}

export function readState(state: JobState): JobStateName | null {
  const known = Object.entries(STATES) as readonly (readonly [JobStateName, JobState])[];
  return known.find(([, value]) => value === state)?.[0] ?? null;
}

export function writeJob({ record, state, stage, progress }: Job): JobMessage {
  const { jobId, outputDirectory, recipePath, planDigest, submitTime, end } = record;
  const { startTime, endTime, totalBytes } = record;
  const done = end?.kind === "done" ? totalBytes : 0;
  return {
    ...{ jobId, outputDirectory, recipePath, planDigest },
    state: writeState(state),
    stage: end === null ? (stage ?? "") : "",
    doneBytes: BigInt(Math.floor(progress?.doneBytes ?? done)),
    totalBytes: BigInt(Math.floor(progress?.totalBytes ?? totalBytes)),
    error: end?.kind === "failed" ? { ...end.error, details: { ...end.error.details } } : undefined,
    submitTime: new Date(submitTime),
    startTime: startTime === null ? undefined : new Date(startTime),
    endTime: endTime === null ? undefined : new Date(endTime),
  };
}
