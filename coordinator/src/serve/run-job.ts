// The one place that knows which workers a job runs on and how a merge is started on them.
import { planJson } from "../cli/plan-json.js";
import type { MergeControl } from "../jobs/merge.js";
import type { MergeSummary } from "../jobs/summary.js";
import { peakMemoryBytes } from "../plan/cost.js";
import type { Workers } from "../rpc/workers.js";
import type { JobSpec } from "./job-record.js";
import type { Roster } from "./roster.js";

/** Workers for one job or plan; disposed when it is over. */
export type OpenWorkers = () => Promise<Workers & AsyncDisposable>;

export type RunJob = (jobId: string, spec: JobSpec, control: MergeControl) => Promise<MergeSummary>;

/** Answers what "plan --json" prints. */
export type PlanJob = (
  spec: Omit<JobSpec, "outputDirectory">,
  signal: AbortSignal,
) => Promise<unknown>;

export interface RunJobOptions {
  readonly openWorkers: OpenWorkers;
  readonly roster: Roster;
  /** See Config. */
  readonly leaseTtlMs: number;
}

export function createRunJob({ openWorkers, roster, leaseTtlMs }: RunJobOptions): RunJob {
  return async (jobId, spec, control) => {
    await using worker = await openWorkers();
    using _listed = roster.include(jobId, worker);
    // Loaded while a private worker boots.
    const { runMerge } = await import("../jobs/merge.js");
    return await runMerge({ ...mergeRequest(spec), leaseTtlMs, worker }, control);
  };
}

export function createPlanJob(openWorkers: OpenWorkers): PlanJob {
  return async (spec, signal) => {
    await using worker = await openWorkers();
    const { planMerge } = await import("../jobs/plan-merge.js");
    const nobody = (): void => undefined;
    const control = { signal, onEvent: nobody, onStage: nobody };
    const merge = await planMerge(worker, mergeRequest(spec), control);
    const { plan, workerThreads, workerMemoryBytes } = merge;
    const memory = peakMemoryBytes(plan, workerThreads, workerMemoryBytes);
    return planJson({ merge, room: null, peakMemoryBytes: memory });
  };
}

function mergeRequest<Spec extends Pick<JobSpec, "models" | "seed">>(spec: Spec) {
  const { models, seed, ...same } = spec;
  return { ...same, models: new Map(Object.entries(models)), seed: BigInt(seed) };
}
