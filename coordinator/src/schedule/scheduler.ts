// Decides which worker runs which task and which result counts: events in, decisions out, no I/O and
// no clock of its own. A task that was running when its worker died is a suspect: it runs last and
// alone, so that only the task that really kills workers reaches the limit.
import { strict as assert } from "node:assert";
import { assertNever } from "../assert-never.js";
import { createHeap } from "./heap.js";
import type {
  Decision,
  ParkedTask,
  ScheduledTask,
  ScheduleEvent,
  TaskFailure,
} from "./protocol.js";
import { createReadyQueue } from "./ready-queue.js";
import { RETRY_DEFAULTS, type RetryOptions, retryDelayMs } from "./retry.js";

export interface SchedulerOptions {
  /** A lease ends when its worker moved no byte for this long. */
  readonly leaseTtlMs: number;
  readonly retry: RetryOptions;
  /** Epochs start above this number, so that results of an earlier run are refused. */
  readonly epochFloor: number;
}

export const SCHEDULER_DEFAULTS: SchedulerOptions = {
  // Longer than the longest stall of a healthy disk, shorter than a user's patience.
  leaseTtlMs: 60_000,
  retry: RETRY_DEFAULTS,
  epochFloor: 0,
};

export interface Scheduler {
  /** Amortised O(log tasks), plus the number of running tasks for a tick. Times never go backwards. */
  handle(event: ScheduleEvent, nowMs: number): readonly Decision[];
}

type TaskState =
  | { readonly kind: "ready" }
  | { readonly kind: "waiting"; readonly readyAtMs: number }
  | { readonly kind: "leased"; readonly workerId: string; readonly sinceMs: number }
  | { readonly kind: "committed" }
  | { readonly kind: "parked" };

interface TaskRecord {
  readonly task: ScheduledTask;
  state: TaskState;
  /** Of the latest assignment; only its result can be committed. */
  epoch: number;
  failures: number;
  suspect: boolean;
  readonly failedOn: Set<string>;
}

interface WorkerRecord {
  readonly id: string;
  credits: number;
  progressedAtMs: number;
  /** Tasks leased to it. */
  readonly running: Set<number>;
}

type Phase = "running" | "stopping" | "cancelling" | "ended";

export function createScheduler(setup: {
  readonly tasks: readonly ScheduledTask[];
  readonly options?: Partial<SchedulerOptions>;
}): Scheduler {
  const options: SchedulerOptions = { ...SCHEDULER_DEFAULTS, ...setup.options };
  return new TaskScheduler(setup.tasks, options);
}

class TaskScheduler implements Scheduler {
  readonly #options: SchedulerOptions;
  readonly #records: readonly TaskRecord[];
  readonly #indexById: ReadonlyMap<string, number>;
  readonly #workers = new Map<string, WorkerRecord>();
  readonly #ready = createReadyQueue((task) => this.#isReady(task));
  readonly #suspects = createReadyQueue((task) => this.#isReady(task));
  readonly #waiting = createHeap((a, b) => this.#readyAtMs(a) < this.#readyAtMs(b));
  readonly #parked: ParkedTask[] = [];
  /** Tasks neither committed nor parked. */
  #openCount: number;
  #leasedCount = 0;
  #phase: Phase = "running";
  #decisions: Decision[] = [];

  constructor(tasks: readonly ScheduledTask[], options: SchedulerOptions) {
    this.#options = options;
    this.#records = tasks.map((task) => ({
      task,
      state: { kind: "ready" },
      epoch: options.epochFloor,
      failures: 0,
      suspect: false,
      failedOn: new Set(),
    }));
    this.#indexById = new Map(tasks.map((task, index) => [task.id, index]));
    assert(this.#indexById.size === tasks.length, "task ids are distinct");
    this.#openCount = tasks.length;
    for (const [index, task] of tasks.entries()) {
      this.#ready.push(index, task.preferredWorkers ?? []);
    }
  }

  handle(event: ScheduleEvent, nowMs: number): readonly Decision[] {
    if (this.#phase === "ended") return this.#afterEnd(event);
    this.#apply(event, nowMs);
    if (this.#phase === "running") this.#assignAll(nowMs);
    this.#endWhenDone();
    const decisions = this.#decisions;
    this.#decisions = [];
    return decisions;
  }

  /** Late results are still answered, so that the caller can compare them. */
  #afterEnd(event: ScheduleEvent): readonly Decision[] {
    if (event.kind !== "task-done") return [];
    const record = this.#record(event.taskId);
    return record === undefined ? [] : [refusal(record, event.epoch)];
  }

  #apply(event: ScheduleEvent, nowMs: number): void {
    switch (event.kind) {
      case "worker-joined":
        this.#joinWorker(event.workerId, nowMs);
        return;
      case "credits-granted":
        this.#grantCredits(event.workerId, event.count);
        return;
      case "worker-progressed":
        this.#renewLeases(event.workerId, nowMs);
        return;
      case "task-done":
        this.#takeResult(event.taskId, event.epoch, event.workerId, nowMs);
        return;
      case "task-failed":
        this.#takeFailure(event, nowMs);
        return;
      case "worker-lost":
        this.#loseWorker(event.workerId, event.failure, nowMs);
        return;
      case "tick":
        this.#wakeWaiting(nowMs);
        this.#expireLeases(nowMs);
        return;
      case "cancel":
        this.#cancel();
        return;
      default:
        assertNever(event);
    }
  }

  #joinWorker(id: string, nowMs: number): void {
    if (this.#workers.has(id)) return;
    this.#workers.set(id, { id, credits: 0, progressedAtMs: nowMs, running: new Set() });
  }

  #grantCredits(workerId: string, count: number): void {
    const worker = this.#workers.get(workerId);
    if (worker !== undefined && count > 0) worker.credits += count;
  }

  #renewLeases(workerId: string, nowMs: number): void {
    const worker = this.#workers.get(workerId);
    if (worker !== undefined) worker.progressedAtMs = nowMs;
  }

  #takeResult(taskId: string, epoch: number, workerId: string, nowMs: number): void {
    const index = this.#indexById.get(taskId);
    // A result for a task that was never handed out is nobody's: nothing to refuse, nothing to do.
    if (index === undefined) return;
    const record = this.#at(index);
    this.#renewLeases(workerId, nowMs);
    if (record.state.kind !== "leased" || record.epoch !== epoch) {
      this.#decisions.push(refusal(record, epoch));
      return;
    }
    this.#endLease(index);
    record.state = { kind: "committed" };
    this.#openCount -= 1;
    this.#decisions.push({ kind: "commit", taskId, epoch });
  }

  #takeFailure(event: Extract<ScheduleEvent, { kind: "task-failed" }>, nowMs: number): void {
    const index = this.#indexById.get(event.taskId);
    if (index === undefined) return;
    const record = this.#at(index);
    if (record.state.kind !== "leased" || record.epoch !== event.epoch) return;
    this.#endLease(index);
    record.failedOn.add(event.workerId);
    this.#retryOrPark(index, event.failure, nowMs);
  }

  #loseWorker(workerId: string, failure: TaskFailure, nowMs: number): void {
    const worker = this.#workers.get(workerId);
    if (worker === undefined) return;
    for (const index of [...worker.running]) {
      this.#endLease(index);
      this.#at(index).suspect = true;
      this.#retryOrPark(index, failure, nowMs);
    }
    this.#workers.delete(workerId);
    this.#ready.forgetWorker(workerId);
    this.#suspects.forgetWorker(workerId);
  }

  #wakeWaiting(nowMs: number): void {
    for (;;) {
      const index = this.#waiting.peek();
      if (index === undefined || this.#readyAtMs(index) > nowMs) return;
      this.#waiting.pop();
      this.#makeReady(index);
    }
  }

  #expireLeases(nowMs: number): void {
    for (const worker of this.#workers.values()) {
      for (const index of [...worker.running]) {
        const { state, task, epoch } = this.#at(index);
        assert(state.kind === "leased", "a running task is leased");
        const aliveAtMs = Math.max(state.sinceMs, worker.progressedAtMs);
        if (nowMs - aliveAtMs < this.#options.leaseTtlMs) continue;
        this.#decisions.push({ kind: "revoke", taskId: task.id, epoch, workerId: worker.id });
        this.#endLease(index);
        this.#at(index).failedOn.add(worker.id);
        const seconds = Math.round((nowMs - aliveAtMs) / 1000);
        const message = `no progress for ${seconds} s`;
        this.#retryOrPark(index, { code: "WORKER_LOST", message, retryable: true }, nowMs);
      }
    }
  }

  #cancel(): void {
    this.#phase = "cancelling";
    for (const worker of this.#workers.values()) {
      for (const index of worker.running) {
        const { task, epoch } = this.#at(index);
        this.#decisions.push({ kind: "revoke", taskId: task.id, epoch, workerId: worker.id });
      }
    }
  }

  #retryOrPark(index: number, failure: TaskFailure, nowMs: number): void {
    const record = this.#at(index);
    record.failures += 1;
    const delayMs = failure.retryable ? retryDelayMs(record.failures, this.#options.retry) : null;
    if (delayMs !== null) {
      record.state = { kind: "waiting", readyAtMs: nowMs + delayMs };
      this.#waiting.push(index);
      return;
    }
    record.state = { kind: "parked" };
    this.#openCount -= 1;
    const parked = { taskId: record.task.id, attempts: record.failures, failure };
    this.#parked.push(parked);
    this.#decisions.push({ kind: "park", ...parked });
    if (!failure.retryable && this.#phase === "running") this.#phase = "stopping";
  }

  #makeReady(index: number): void {
    const record = this.#at(index);
    record.state = { kind: "ready" };
    const queue = record.suspect ? this.#suspects : this.#ready;
    queue.push(index, record.task.preferredWorkers ?? []);
  }

  /** Round robin, so that one worker with many credits does not take everything. */
  #assignAll(nowMs: number): void {
    let assigned = true;
    while (assigned) {
      assigned = false;
      for (const worker of this.#workers.values()) {
        if (worker.credits === 0) continue;
        const index = this.#pick(worker);
        if (index === null) continue;
        this.#lease(index, worker, nowMs);
        assigned = true;
      }
    }
  }

  #pick(worker: WorkerRecord): number | null {
    for (const index of worker.running) if (this.#at(index).suspect) return null;
    const accepts = (index: number): boolean => this.#maySend(index, worker);
    const index = this.#ready.take(worker.id, accepts);
    if (index !== null) return index;
    return worker.running.size === 0 ? this.#suspects.take(worker.id, accepts) : null;
  }

  /** A task goes back to a worker it failed on only when there is no other one. */
  #maySend(index: number, worker: WorkerRecord): boolean {
    const { failedOn } = this.#at(index);
    if (!failedOn.has(worker.id)) return true;
    for (const id of this.#workers.keys()) if (!failedOn.has(id)) return false;
    return true;
  }

  #lease(index: number, worker: WorkerRecord, nowMs: number): void {
    const record = this.#at(index);
    record.epoch += 1;
    record.state = { kind: "leased", workerId: worker.id, sinceMs: nowMs };
    worker.credits -= 1;
    worker.running.add(index);
    this.#leasedCount += 1;
    const { task, epoch } = record;
    this.#decisions.push({ kind: "assign", taskId: task.id, epoch, workerId: worker.id });
  }

  #endLease(index: number): void {
    const { state } = this.#at(index);
    assert(state.kind === "leased", "only a leased task loses its lease");
    this.#workers.get(state.workerId)?.running.delete(index);
    this.#leasedCount -= 1;
  }

  #endWhenDone(): void {
    if (this.#leasedCount > 0) return;
    const ended = this.#ending();
    if (ended === null) return;
    this.#phase = "ended";
    this.#decisions.push(ended);
  }

  #ending(): Decision | null {
    if (this.#phase === "cancelling") return { kind: "cancelled" };
    if (this.#phase === "running" && this.#openCount > 0) return null;
    if (this.#parked.length > 0) return { kind: "fail", parked: this.#parked };
    return { kind: "finish" };
  }

  #isReady(index: number): boolean {
    return this.#at(index).state.kind === "ready";
  }

  #readyAtMs(index: number): number {
    const { state } = this.#at(index);
    return state.kind === "waiting" ? state.readyAtMs : 0;
  }

  #at(index: number): TaskRecord {
    const record = this.#records[index];
    assert(record !== undefined, "task index is in range");
    return record;
  }

  #record(taskId: string): TaskRecord | undefined {
    const index = this.#indexById.get(taskId);
    return index === undefined ? undefined : this.#at(index);
  }
}

function refusal(record: TaskRecord, epoch: number): Decision {
  const committed = record.state.kind === "committed" ? record.epoch : null;
  return { kind: "refuse", taskId: record.task.id, epoch, committed };
}
