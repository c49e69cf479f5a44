// The methods of graft.v1.CoordinatorService, each a few lines over the jobs.
import type {
  CoordinatorServiceServer,
  LogsResponse,
  PlanResponse,
  WatchResponse,
} from "@graft/proto";
import { serverStream, unary } from "./adapt.js";
import type { WatchItem } from "./job.js";
import { newJobId } from "./job-id.js";
import type { Jobs } from "./jobs.js";
import {
  readDirectory,
  readJobId,
  readRecipeRequest,
  writeJob,
  writeOptions,
  writeState,
} from "./messages.js";
import type { Roster } from "./roster.js";
import type { PlanJob } from "./run-job.js";

export interface HandlerOptions {
  readonly jobs: Jobs;
  readonly planJob: PlanJob;
  readonly roster: Roster;
}

/** A caller that waits longer asks again. */
const CANCEL_WAIT_MS = 30_000;
/** Below the 4 MiB that a gRPC client takes unless it is told otherwise. */
const PIECE_CHARACTERS = 512 * 1024;

export function createHandlers({
  jobs,
  planJob,
  roster,
}: HandlerOptions): CoordinatorServiceServer {
  return {
    submit: unary(async (request) => {
      const spec = {
        ...readRecipeRequest(request),
        outputDirectory: readDirectory("output_directory", request.outputDirectory),
      };
      const jobId = request.jobId === "" ? newJobId() : readJobId(request.jobId);
      const { record } = await jobs.submit(jobId, spec);
      return { jobId: record.jobId, planDigest: record.planDigest };
    }),
    plan: serverStream(async function* (request, signal): AsyncGenerator<PlanResponse> {
      const json = JSON.stringify(await planJob(readRecipeRequest(request), signal), jsonValue);
      for (let at = 0; at < json.length; at += PIECE_CHARACTERS) {
        yield { json: json.slice(at, at + PIECE_CHARACTERS) };
      }
    }),
    watch: serverStream(async function* (request, signal): AsyncGenerator<WatchResponse> {
      const job = jobs.find(request.jobId);
      const either = AbortSignal.any([signal, jobs.stopping]);
      const after = Number(request.afterSequence);
      for await (const item of job.follow(after, either)) yield writeItem(item);
    }),
    list: unary(() => ({ jobs: jobs.list().map(writeJob) })),
    show: unary(async ({ jobId }) => {
      const job = jobs.find(jobId);
      const spec = await jobs.readSpec(job);
      const { recipeText, workingDirectory } = spec;
      return { job: writeJob(job), recipeText, workingDirectory, options: writeOptions(spec) };
    }),
    cancel: unary(async ({ jobId, keepWork }, signal) => {
      const waited = AbortSignal.any([signal, AbortSignal.timeout(CANCEL_WAIT_MS)]);
      const { record, state } = await jobs.cancel(jobId, keepWork, waited);
      return { jobId: record.jobId, state: writeState(state) };
    }),
    resume: unary(async ({ outputDirectory }) => {
      const path = readDirectory("output_directory", outputDirectory);
      const { record } = await jobs.resume(path);
      return { jobId: record.jobId };
    }),
    logs: serverStream(async function* ({ jobId }): AsyncGenerator<LogsResponse> {
      for (const entry of await jobs.readLog(jobs.find(jobId))) yield writeItem(entry);
    }),
    listWorkers: unary(async () => ({ workers: [...(await roster.list())] })),
    drainWorker: unary(async ({ address }, signal) => {
      await roster.drain(address, signal);
      return {};
    }),
  };
}

function writeItem({ sequence, time, state, event }: WatchItem): WatchResponse {
  return {
    sequence: BigInt(sequence),
    eventTime: new Date(time),
    state: writeState(state),
    json: JSON.stringify(event, jsonValue),
  };
}

/** 64-bit numbers do not fit a JSON number of every reader. */
function jsonValue(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? String(value) : value;
}
