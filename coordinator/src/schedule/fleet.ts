// Several jobs on the same workers: events in, decisions out, no I/O and no clock of its own. Each credit
// goes to the job whose turn it is by priority and weighted fair share of bytes; which of the job's tasks
// the worker gets is the job's own affair.
import { strict as assert } from "node:assert";
import { assertNever } from "../assert-never.js";
import { createFairQueue, type Share } from "./fair-queue.js";
import type { JobOptions } from "./job-options.js";
import { JobTasks } from "./job-tasks.js";
import type { Decision, ScheduledTask, TaskEvent, TaskFailure, WorkerEvent } from "./protocol.js";
import { RETRY_DEFAULTS } from "./retry.js";
import { type LeaseOwner, WorkerPool, type WorkerState } from "./workers.js";

export interface FleetOptions extends Omit<JobOptions, "epochFloor"> {
  /** A lease ends when its worker moved no byte for this long. */
  readonly leaseTtlMs: number;
}

export const FLEET_DEFAULTS: FleetOptions = {
  // Longer than the longest stall of a healthy disk, shorter than a user's patience.
  leaseTtlMs: 60_000,
  retry: RETRY_DEFAULTS,
  // A few tasks' time.
  elsewhereMs: 10_000,
  suspectPatienceMs: 60_000,
  // Long enough for a restarted worker to be back.
  memoryPatienceMs: 30_000,
  stopGraceMs: 15_000,
};

export type FleetEvent =
  | WorkerEvent
  | (TaskEvent & { readonly jobId: string })
  | {
      readonly kind: "job-added";
      readonly jobId: string;
      readonly tasks?: readonly ScheduledTask[];
      /** More tasks follow: the job cannot end before `job-sealed`. */
      readonly isOpen?: boolean;
      readonly share?: Partial<Share>;
      readonly epochFloor?: number;
    }
  /** A million tasks come in pieces, so that no single event takes long. */
  | {
      readonly kind: "tasks-added";
      readonly jobId: string;
      readonly tasks: readonly ScheduledTask[];
    }
  | { readonly kind: "job-sealed"; readonly jobId: string }
  /** The caller compares no more results of this job, which has ended. */
  | { readonly kind: "job-removed"; readonly jobId: string };

export type FleetDecision =
  | { readonly kind: "job"; readonly jobId: string; readonly decision: Decision }
  /** A draining worker has nothing left to do. */
  | { readonly kind: "worker-drained"; readonly workerId: string };

export interface Fleet {
  /**
   * Amortised O(log tasks + log jobs) per decision; a tick costs the number of workers and of running
   * tasks besides. Times never go backwards.
   */
  handle(event: FleetEvent, nowMs: number): readonly FleetDecision[];
}

const SHARE_DEFAULT: Share = { priority: 0, weight: 1 };
/** Jobs that have nothing for a worker are looked past this many times, then it waits for a tick. */
const JOBS_TRIED_MAX = 64;

interface Job {
  readonly number: number;
  readonly id: string;
  readonly share: Share;
  readonly tasks: JobTasks;
}

export function createFleet(options: Partial<FleetOptions> = {}): Fleet {
  return new JobFleet({ ...FLEET_DEFAULTS, ...options });
}

class JobFleet implements Fleet {
  readonly #options: FleetOptions;
  readonly #pool = new WorkerPool();
  readonly #jobs = new Map<string, Job>();
  readonly #jobByNumber = new Map<number, Job>();
  readonly #turns = createFairQueue();
  /** Jobs in which time alone changes something. */
  readonly #ticking = new Set<Job>();
  /** Jobs that had tasks and nothing for some worker that asked. */
  readonly #stuck = new Set<Job>();
  /** Workers that may get a task because of this event. */
  readonly #asking = new Set<WorkerState>();
  readonly #touched = new Set<Job>();
  readonly #draining = new Set<WorkerState>();
  #decisions: FleetDecision[] = [];
  #jobsAdded = 0;

  constructor(options: FleetOptions) {
    this.#options = options;
  }

  handle(event: FleetEvent, nowMs: number): readonly FleetDecision[] {
    if ("jobId" in event) this.#applyToJob(event, nowMs);
    else this.#applyToWorkers(event, nowMs);
    this.#settle();
    this.#assignAll(nowMs);
    this.#settle();
    this.#releaseDrained();
    const decisions = this.#decisions;
    this.#decisions = [];
    return decisions;
  }

  #applyToJob(event: Extract<FleetEvent, { jobId: string }>, nowMs: number): void {
    if (event.kind === "job-added") {
      this.#addJob(event, nowMs);
      return;
    }
    const job = this.#jobs.get(event.jobId);
    if (job === undefined) return;
    this.#touched.add(job);
    switch (event.kind) {
      case "tasks-added":
        job.tasks.add(event.tasks, nowMs);
        this.#askAll();
        return;
      case "job-sealed":
        job.tasks.seal();
        return;
      case "job-removed":
        assert(job.tasks.isEnded, "only an ended job is removed");
        this.#jobs.delete(job.id);
        return;
      case "task-done":
      case "task-failed":
        this.#report(job, event, nowMs);
        return;
      case "task-reopened":
        job.tasks.reopen(event.taskId, nowMs);
        this.#askAll();
        return;
      case "cancel":
        job.tasks.cancel();
        return;
      default:
        assertNever(event);
    }
  }

  #report(
    job: Job,
    event: Extract<TaskEvent, { kind: "task-done" | "task-failed" }>,
    nowMs: number,
  ): void {
    const worker = this.#pool.get(event.workerId);
    if (event.kind === "task-done") {
      if (worker !== undefined) worker.progressedAtMs = nowMs;
      job.tasks.done(event, nowMs);
    } else {
      job.tasks.failed(event, event.failure, nowMs);
    }
    // Its memory is free again, even where a credit is still to come.
    if (worker !== undefined) this.#asking.add(worker);
  }

  #applyToWorkers(event: WorkerEvent, nowMs: number): void {
    if (event.kind === "tick") {
      this.#tick(nowMs);
      return;
    }
    const { workerId } = event;
    if (event.kind === "worker-joined") {
      this.#pool.join(workerId, event.memoryBytes ?? Number.POSITIVE_INFINITY, nowMs);
      return;
    }
    if (event.kind === "worker-quarantined") this.#pool.quarantine(workerId);
    const worker = this.#pool.get(workerId);
    if (worker === undefined) return;
    switch (event.kind) {
      case "credits-granted":
        if (event.count > 0) worker.credits += event.count;
        this.#asking.add(worker);
        return;
      case "worker-progressed":
        worker.progressedAtMs = nowMs;
        return;
      case "worker-lost":
        this.#loseWorker(worker, event.failure, nowMs);
        return;
      case "worker-draining":
        this.#retire(worker, nowMs);
        this.#draining.add(worker);
        return;
      case "worker-quarantined":
        this.#retire(worker, nowMs);
        for (const lease of worker.leases) {
          if (lease.revokedAtMs === null) this.#ownerOf(lease).distrust(lease, nowMs);
        }
        this.#askAll();
        return;
      default:
        assertNever(event);
    }
  }

  #addJob(event: Extract<FleetEvent, { kind: "job-added" }>, nowMs: number): void {
    const { jobId, tasks, isOpen, share, epochFloor } = event;
    assert(!this.#jobs.has(jobId), "job ids are distinct");
    this.#jobsAdded += 1;
    const emit = (decision: Decision): void => {
      this.#decisions.push({ kind: "job", jobId, decision });
    };
    const options = {
      ...this.#options,
      epochFloor: epochFloor ?? 0,
      jobNumber: this.#jobsAdded,
    };
    const job: Job = {
      number: this.#jobsAdded,
      id: jobId,
      share: { ...SHARE_DEFAULT, ...share },
      tasks: new JobTasks(options, this.#pool, emit),
    };
    this.#jobs.set(jobId, job);
    this.#jobByNumber.set(job.number, job);
    job.tasks.add(tasks ?? [], nowMs);
    if (isOpen !== true) job.tasks.seal();
    this.#touched.add(job);
    this.#askAll();
  }

  #tick(nowMs: number): void {
    for (const lease of this.#pool.expired(this.#options.leaseTtlMs, nowMs)) {
      this.#ownerOf(lease).expire(lease, nowMs);
    }
    for (const job of this.#ticking) {
      job.tasks.tick(nowMs);
      this.#touched.add(job);
    }
    for (const job of this.#stuck) {
      job.tasks.parkUnfit(nowMs);
      this.#touched.add(job);
    }
    this.#stuck.clear();
    this.#askAll();
  }

  #askAll(): void {
    for (const worker of this.#pool.values()) if (worker.credits > 0) this.#asking.add(worker);
  }

  #loseWorker(worker: WorkerState, failure: TaskFailure, nowMs: number): void {
    this.#retire(worker, nowMs);
    for (const lease of worker.leases) {
      this.#pool.release(lease);
      if (lease.revokedAtMs === null) this.#ownerOf(lease).lose(lease, failure, nowMs);
    }
    this.#pool.remove(worker, nowMs);
    this.#draining.delete(worker);
    this.#asking.delete(worker);
  }

  #retire(worker: WorkerState, nowMs: number): void {
    this.#pool.retire(worker, nowMs);
    this.#dropReservation(worker);
  }

  #ownerOf({ owner }: { readonly owner: LeaseOwner }): LeaseOwner {
    const job = this.#jobByNumber.get(owner.jobNumber);
    if (job !== undefined) this.#touched.add(job);
    return owner;
  }

  #assignAll(nowMs: number): void {
    // Round robin, so that one worker with many credits does not take everything.
    while (this.#asking.size > 0) {
      for (const worker of this.#asking) {
        if (!this.#assignOne(worker, nowMs)) this.#asking.delete(worker);
      }
    }
  }

  #assignOne(worker: WorkerState, nowMs: number): boolean {
    if (worker.credits === 0 || worker.isLeaving) return false;
    if (worker.reserved !== null) return this.#assignReserved(worker, nowMs);
    for (const { isSuspect } of worker.leases) if (isSuspect) return false;
    const tried: Job[] = [];
    let isAssigned = false;
    while (!isAssigned && worker.reserved === null && tried.length < JOBS_TRIED_MAX) {
      const job = this.#nextJob();
      if (job === undefined) break;
      tried.push(job);
      const cost = job.tasks.pick(worker, nowMs);
      isAssigned = cost !== null;
      if (cost !== null) this.#turns.charge(job.number, cost);
      else this.#stuck.add(job);
    }
    for (const job of tried) {
      this.#turns.enter(job.number, job.share);
      this.#touched.add(job);
    }
    return isAssigned;
  }

  /** The job whose turn it is among those that offer something. */
  #nextJob(): Job | undefined {
    for (;;) {
      const number = this.#turns.next();
      if (number === undefined) return undefined;
      const job = this.#jobByNumber.get(number);
      if (job?.tasks.hasOffers === true) return job;
      if (job === undefined) this.#turns.forget(number);
      else this.#turns.rest(number);
    }
  }

  /** A worker that empties itself for one task takes that one, and nothing before. */
  #assignReserved(worker: WorkerState, nowMs: number): boolean {
    const { reserved } = worker;
    if (reserved === null || worker.leases.size > 0) return false;
    worker.reserved = null;
    this.#ownerOf(reserved).takeReserved(reserved.index, worker, nowMs);
    return true;
  }

  #dropReservation(worker: WorkerState): void {
    const { reserved } = worker;
    worker.reserved = null;
    if (reserved !== null) this.#ownerOf(reserved).dropReserved(reserved.index);
  }

  /** Jobs that changed take or leave their place in the queue, and end when they are done. */
  #settle(): void {
    for (const job of this.#touched) {
      const { tasks, number, share } = job;
      const wasEnded = tasks.isEnded;
      tasks.endIfDone();
      if (tasks.isEnded) {
        if (!wasEnded) this.#leave(job);
        continue;
      }
      if (tasks.hasOffers) this.#turns.enter(number, share);
      if (tasks.needsTicks) this.#ticking.add(job);
      else this.#ticking.delete(job);
    }
    this.#touched.clear();
  }

  #leave(job: Job): void {
    this.#jobByNumber.delete(job.number);
    this.#turns.forget(job.number);
    this.#ticking.delete(job);
    this.#stuck.delete(job);
  }

  #releaseDrained(): void {
    for (const worker of this.#draining) {
      if (worker.leases.size > 0) continue;
      this.#draining.delete(worker);
      this.#decisions.push({ kind: "worker-drained", workerId: worker.id });
    }
  }
}
