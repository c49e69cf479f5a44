// Jobs and workers as people and scripts read them. Pure.
import { type Job, WorkerState, type WorkerStatus } from "@graft/proto";
import { createRenderer, formatSeconds } from "../cli/render.js";
import { formatMemory, formatSize } from "../jobs/format-size.js";
import type { JobEvent } from "./event-log.js";
import { shortId } from "./job-id.js";
import { readState } from "./messages.js";

/** The fields are an interface for scripts and only ever grow. */
export function jobJson(job: Job): Readonly<Record<string, unknown>> {
  const { jobId, stage, outputDirectory, recipePath, planDigest, error } = job;
  return {
    ...{ kind: "job", jobId, state: readState(job.state), stage: stage || null },
    ...{ output: outputDirectory, recipe: recipePath, planDigest: planDigest || null },
    ...{ doneBytes: Number(job.doneBytes), totalBytes: Number(job.totalBytes) },
    submitTime: job.submitTime ?? null,
    startTime: job.startTime ?? null,
    endTime: job.endTime ?? null,
    error: error ?? null,
  };
}

export function jobTable(jobs: readonly Job[]): string {
  if (jobs.length === 0) return "no jobs\n";
  return table([
    ["JOB", "STATE", "DONE", "SUBMITTED", "OUTPUT"],
    ...jobs.map((job) => [
      shortId(job.jobId),
      stateText(job),
      percentText(job),
      timeText(job.submitTime),
      job.outputDirectory,
    ]),
  ]);
}

function stateText({ state, stage }: Job): string {
  const name = readState(state) ?? "unknown";
  return name === "running" && stage !== "" ? `${name} (${stage})` : name;
}

function percentText({ doneBytes, totalBytes }: Job): string {
  return totalBytes > 0n ? `${(100n * doneBytes) / totalBytes} %` : "";
}

/** Seconds are enough, and UTC is the same on every machine. */
function timeText(time: Date | undefined): string {
  return time === undefined ? "" : `${time.toISOString().slice(0, 19).replace("T", " ")}Z`;
}

export function jobText(job: Job, recipeText: string): string {
  const { jobId, outputDirectory, recipePath, planDigest, startTime, endTime, error } = job;
  const took =
    startTime === undefined || endTime === undefined
      ? ""
      : ` (${formatSeconds((endTime.getTime() - startTime.getTime()) / 1000)})`;
  const facts: readonly (readonly [string, string])[] = [
    ["job", jobId],
    ["state", stateText(job)],
    ["done", percentText(job)],
    ["size", job.totalBytes > 0n ? `${formatSize(Number(job.totalBytes))} to read and write` : ""],
    ["output", outputDirectory],
    ["recipe", recipePath],
    ["plan digest", planDigest],
    ["submitted", timeText(job.submitTime)],
    ["started", timeText(startTime)],
    ["ended", `${timeText(endTime)}${took}`],
    ["error", error?.message ?? ""],
  ];
  const lines = facts.filter(([, value]) => value !== "");
  return `${lines.map(([name, value]) => `${name.padEnd(12)}${value}\n`).join("")}\n${recipeText.trimEnd()}\n`;
}

/** `2026-01-31 08:15:00Z merging` */
export function logLine(time: Date | undefined, event: JobEvent): string {
  return `${timeText(time)} ${eventText(event)}\n`;
}

function eventText(event: JobEvent): string {
  switch (event.kind) {
    case "error":
      return `error: ${event.message}`;
    case "problems":
      return event.problems.map(({ severity, message }) => `${severity}: ${message}`).join("; ");
    case "published":
      return `published ${event.output}`;
    case "done":
      return `done in ${formatSeconds(event.summary.seconds)}`;
    default: {
      const renderer = createRenderer({ isTerminal: false, columns: 0 });
      return (renderer.handle(event, 0) ?? event.kind).trimEnd();
    }
  }
}

const WORKER_STATES: ReadonlyMap<WorkerState, string> = new Map([
  [WorkerState.WORKER_STATE_SERVING, "serving"],
  [WorkerState.WORKER_STATE_DRAINING, "draining"],
  [WorkerState.WORKER_STATE_UNREACHABLE, "unreachable"],
]);

export function workerJson(worker: WorkerStatus): Readonly<Record<string, unknown>> {
  const { address, workerId, threadCount, memoryLimitBytes, runningTaskCount, jobId } = worker;
  return {
    ...{ kind: "worker", address, state: WORKER_STATES.get(worker.state) ?? null, workerId },
    ...{ threadCount, memoryLimitBytes: Number(memoryLimitBytes), runningTaskCount },
    ...{ isa: worker.isa, kernelVersion: worker.kernelVersion },
    jobId: jobId || null,
    problem: worker.problem || null,
  };
}

export function workerTable(workers: readonly WorkerStatus[]): string {
  if (workers.length === 0) return "no workers: every job starts one of its own\n";
  return table([
    ["WORKER", "STATE", "THREADS", "MEMORY", "TASKS", "NOTE"],
    ...workers.map((worker) => {
      const state = WORKER_STATES.get(worker.state) ?? "unknown";
      const note = worker.jobId === "" ? worker.problem : `of job ${shortId(worker.jobId)}`;
      if (worker.state === WorkerState.WORKER_STATE_UNREACHABLE) {
        return [worker.address, state, "", "", "", note];
      }
      const { threadCount, memoryLimitBytes, runningTaskCount } = worker;
      const memory = formatMemory(Number(memoryLimitBytes));
      return [worker.address, state, `${threadCount}`, memory, `${runningTaskCount}`, note];
    }),
  ]);
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (row: readonly string[]): string =>
    row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ");
  return rows.map((row) => `${line(row).trimEnd()}\n`).join("");
}
