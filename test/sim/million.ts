// Prints as JSON what a fleet costs at its promised size: a submit of a million tasks in pieces, then
// the first hundred thousand of them worked off by a thousand workers beside ten thousand queued jobs.
import { createFleet, type FleetDecision, type FleetEvent } from "@graft/coordinator";

const TASKS = 1_000_000;
const PIECE = 10_000;
const WORKERS = 1_000;
const CREDITS = 6;
const JOBS = 10_000;
const WORKED = 100_000;

interface Running {
  readonly jobId: string;
  readonly taskId: string;
  readonly epoch: number;
  readonly workerId: string;
}

const fleet = createFleet();
const times: Record<string, number[]> = { submit: [], decision: [], tick: [] };
let nowMs = 0;

function timed(kind: "submit" | "decision" | "tick", event: FleetEvent): readonly FleetDecision[] {
  const startedMs = performance.now();
  const decisions = fleet.handle(event, nowMs);
  times[kind]?.push(performance.now() - startedMs);
  return decisions;
}

function running(decisions: readonly FleetDecision[]): readonly Running[] {
  return decisions.flatMap((decided) =>
    decided.kind === "job" && decided.decision.kind === "assign"
      ? [{ ...decided.decision, jobId: decided.jobId }]
      : [],
  );
}

function p99(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length * 0.99)] ?? 0;
}

const name = (prefix: string, index: number): string =>
  `${prefix}${index.toString(16).padStart(32, "0")}`;

const workerIds = Array.from({ length: WORKERS }, (_, index) => name("worker-", index));
for (const workerId of workerIds) {
  timed("decision", { kind: "worker-joined", workerId, memoryBytes: 2 ** 35 });
}

const startedMs = performance.now();
timed("submit", { kind: "job-added", jobId: "large", isOpen: true });
for (let first = 0; first < TASKS; first += PIECE) {
  const tasks = Array.from({ length: PIECE }, (_, index) => ({
    id: name("", first + index),
    costBytes: 2 ** 28,
    memoryBytes: 2 ** 30,
  }));
  timed("submit", { kind: "tasks-added", jobId: "large", tasks });
}
timed("submit", { kind: "job-sealed", jobId: "large" });
const submitMs = performance.now() - startedMs;

for (let job = 0; job < JOBS; job += 1) {
  timed("decision", { kind: "job-added", jobId: name("job-", job), tasks: [{ id: "only" }] });
}

const queue: Running[] = [];
for (const workerId of workerIds) {
  queue.push(...running(timed("decision", { kind: "credits-granted", workerId, count: CREDITS })));
}
for (let index = 0; index < WORKED; index += 1) {
  const next = queue[index];
  if (next === undefined) throw new Error(`nothing runs after ${index} tasks`);
  nowMs += 0.1;
  timed("decision", { ...next, kind: "task-done" });
  const granted = { kind: "credits-granted", workerId: next.workerId, count: 1 } as const;
  queue.push(...running(timed("decision", granted)));
  if (index % 2_500 === 0) queue.push(...running(timed("tick", { kind: "tick" })));
}

const round = (value: number): number => Math.round(value * 1_000) / 1_000;
console.log(
  JSON.stringify({
    submitMs: round(submitMs),
    stepP99Ms: round(p99(times.submit ?? [])),
    stepMaxMs: round(Math.max(...(times.submit ?? []))),
    tickMaxMs: round(Math.max(...(times.tick ?? []))),
    decisionP99Ms: round(p99(times.decision ?? [])),
    residentMiB: Math.round(process.memoryUsage().rss / 2 ** 20),
  }),
);
