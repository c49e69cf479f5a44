// What a coordinator keeps of a job, apart from its events: the request, which never changes, and the
// record, which is written whole at every change. What a job is doing is not kept: a restart begins it
// again from the journal beside its output.

import type { Stage } from "../jobs/events.js";
import type { JobRequest } from "../jobs/records.js";

/** Version of the two files below. */
export const RECORD_FORMAT = 1;

/** A merge as it was asked for. */
export interface JobSpec extends JobRequest {
  /** Absolute, as the coordinator sees it. */
  readonly outputDirectory: string;
}

export interface JobError {
  readonly code: string;
  readonly message: string;
  readonly details: Readonly<Record<string, string>>;
}

export type JobEnd =
  | { readonly kind: "done" }
  | { readonly kind: "failed"; readonly error: JobError }
  | { readonly kind: "cancelled" };

export interface JobRecord {
  readonly format: number;
  readonly jobId: string;
  /** Jobs begin in this order. */
  readonly order: number;
  readonly outputDirectory: string;
  readonly recipePath: string;
  /** Times are ISO 8601. */
  readonly submitTime: string;
  readonly startTime: string | null;
  readonly endTime: string | null;
  readonly planDigest: string;
  /** What the plan reads and writes; 0 until it is planned. */
  readonly totalBytes: number;
  /** Somebody asked for the end of the job, which may have ended otherwise before it came to that. */
  readonly cancel: { readonly keepWork: boolean } | null;
  readonly end: JobEnd | null;
}

export const JOB_STATES = [
  "queued",
  "planning",
  "running",
  "publishing",
  "cancelling",
  "done",
  "failed",
  "cancelled",
] as const;
export type JobStateName = (typeof JOB_STATES)[number];

/** `stage` is null while the job waits for its turn. */
export function jobState({ end, cancel }: JobRecord, stage: Stage | null): JobStateName {
  if (end !== null) return end.kind;
  if (cancel !== null) return "cancelling";
  switch (stage) {
    case null:
      return "queued";
    case "describe":
    case "plan":
      return "planning";
    case "publish":
      return "publishing";
    default:
      return "running";
  }
}

export function isEndState(state: JobStateName): boolean {
  return state === "done" || state === "failed" || state === "cancelled";
}
