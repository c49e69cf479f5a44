// The tasks of one job: who has them, which result counts, what is tried again. A task that was running
// when its worker died is a suspect: it runs last and alone, so that only the task that really kills
// workers reaches the limit.
import { strict as assert } from "node:assert";
import { Backlog } from "./backlog.js";
import type { JobOptions, TaskReport } from "./job-options.js";
import type { Decision, ParkedTask, RevokeReason, ScheduledTask, TaskFailure } from "./protocol.js";
import { retryDelayMs } from "./retry.js";
import { Stragglers } from "./stragglers.js";
import { createRecord, refusal, type TaskRecord } from "./task-record.js";
import {
  aliveAtMs,
  type Lease,
  type LeaseOwner,
  notePace,
  type WorkerPool,
  type WorkerState,
} from "./workers.js";

type Phase = "running" | "stopping" | "cancelling" | "ended";

export class JobTasks implements LeaseOwner {
  readonly jobNumber: number;
  readonly #options: JobOptions;
  readonly #pool: WorkerPool;
  readonly #emit: (decision: Decision) => void;
  readonly #records: TaskRecord[] = [];
  readonly #indexById = new Map<string, number>();
  readonly #backlog: Backlog;
  readonly #stragglers = new Stragglers();
  /** Tasks that were late at the last tick. */
  #late: number[] = [];
  readonly #leases = new Set<Lease>();
  readonly #parked: ParkedTask[] = [];
  /** Tasks neither committed nor parked. */
  #openCount = 0;
  #committedCount = 0;
  #totalCost = 0;
  #isSealed = false;
  #phase: Phase = "running";
  #stoppingSinceMs: number | null = null;

  constructor(
    options: JobOptions & { readonly jobNumber: number },
    pool: WorkerPool,
    emit: (decision: Decision) => void,
  ) {
    this.jobNumber = options.jobNumber;
    this.#options = options;
    this.#pool = pool;
    this.#emit = emit;
    this.#backlog = new Backlog((index) => this.#at(index), pool);
  }

  get isEnded(): boolean {
    return this.#phase === "ended";
  }

  get hasOffers(): boolean {
    if (this.#phase !== "running") return false;
    return this.#backlog.readyCount + this.#late.length > 0;
  }

  /** Time alone changes something. */
  get needsTicks(): boolean {
    return this.#leases.size + this.#backlog.waitingCount > 0;
  }

  add(tasks: readonly ScheduledTask[], nowMs: number): void {
    assert(!this.#isSealed, "no task is added to a sealed job");
    for (const task of tasks) {
      const index = this.#records.length;
      assert(!this.#indexById.has(task.id), "task ids are distinct");
      const record = createRecord(task, this.#options.epochFloor, nowMs);
      this.#indexById.set(task.id, index);
      this.#records.push(record);
      this.#totalCost += record.cost;
      this.#backlog.add(index);
    }
    this.#openCount += tasks.length;
  }

  /** All tasks are there. */
  seal(): void {
    this.#isSealed = true;
  }

  /** Gives the worker, which has a credit, one task; says what it costs. */
  pick(worker: WorkerState, nowMs: number): number | null {
    if (this.#phase !== "running") return null;
    const accepts = (index: number): boolean => this.#maySend(index, worker, nowMs);
    const freeBytes = worker.memoryBytes - worker.usedBytes;
    this.#reserveForSuspect(worker, nowMs);
    if (worker.reserved !== null) return null;
    const index = this.#backlog.take(worker, freeBytes, accepts);
    if (index !== null) return this.#lease(index, worker, nowMs);
    if (worker.leases.size === 0 && this.#backlog.suspectCount > 0) {
      const suspect = this.#backlog.takeSuspect(worker, freeBytes, accepts);
      if (suspect !== null) return this.#lease(suspect, worker, nowMs);
    }
    return this.#copy(worker, freeBytes, nowMs);
  }

  takeReserved(index: number, worker: WorkerState, nowMs: number): void {
    if (this.#phase !== "running" || this.#at(index).state !== "ready") return;
    this.#lease(index, worker, nowMs);
  }

  dropReserved(index: number): void {
    if (this.#at(index).state === "ready") this.#backlog.offer(index);
  }

  done({ taskId, epoch, workerId }: TaskReport, nowMs: number): void {
    const record = this.#record(taskId);
    // A result for a task that was never handed out is nobody's: nothing to refuse, nothing to do.
    if (record === undefined) return;
    const lease = this.#takeReport(record, epoch, workerId);
    if (lease === null) {
      this.#emit(refusal(record, epoch));
      return;
    }
    const elapsedMs = nowMs - lease.sinceMs;
    notePace(lease.worker, elapsedMs / record.cost);
    this.#stragglers.committed(elapsedMs, record.cost);
    this.#backlog.setState(record, "committed");
    record.committedEpoch = epoch;
    this.#openCount -= 1;
    this.#committedCount += 1;
    this.#emit({ kind: "commit", taskId, epoch });
    for (const other of record.leases) {
      if (other !== lease) this.#supersede(other, record, nowMs);
    }
    this.#end(lease, record);
  }

  failed({ taskId, epoch, workerId }: TaskReport, failure: TaskFailure, nowMs: number): void {
    const record = this.#record(taskId);
    const lease = record === undefined ? null : this.#takeReport(record, epoch, workerId);
    if (record === undefined || lease === null) return;
    this.#end(lease, record);
    this.#blame(record, lease.worker.id);
    this.#retryOrPark(record, lease.index, failure, nowMs);
  }

  lose(lease: Lease, failure: TaskFailure, nowMs: number): void {
    const record = this.#at(lease.index);
    this.#end(lease, record);
    record.isSuspect = true;
    this.#retryOrPark(record, lease.index, failure, nowMs);
  }

  expire(lease: Lease, nowMs: number): void {
    const record = this.#at(lease.index);
    const silentMs = nowMs - aliveAtMs(lease);
    this.#revoke(lease, record, "expired", nowMs);
    this.#blame(record, lease.worker.id);
    const message = `no progress for ${Math.round(silentMs / 1000)} s`;
    const failure = { code: "WORKER_LOST", message, retryable: true };
    this.#retryOrPark(record, lease.index, failure, nowMs);
  }

  distrust(lease: Lease, nowMs: number): void {
    const record = this.#at(lease.index);
    this.#revoke(lease, record, "quarantined", nowMs);
    if (record.leases.length === 0) this.#backlog.makeReady(lease.index, nowMs);
  }

  reopen(taskId: string, nowMs: number): void {
    const record = this.#record(taskId);
    if (record === undefined || record.state !== "committed" || this.#phase === "ended") return;
    record.committedEpoch = null;
    this.#openCount += 1;
    this.#committedCount -= 1;
    this.#backlog.makeReady(this.#indexById.get(taskId) as number, nowMs);
  }

  cancel(): void {
    if (this.#phase === "ended") return;
    this.#phase = "cancelling";
    this.#late = [];
    for (const lease of this.#leases) this.#tellRevoked(lease, "cancelled");
  }

  tick(nowMs: number): void {
    this.#backlog.wake(nowMs);
    if (this.#phase === "stopping" || this.#phase === "cancelling") this.#stop(nowMs);
    if (this.#phase !== "running") return;
    this.#late = this.#stragglers.find({
      leases: this.#leases,
      recordOf: (index) => this.#at(index),
      doneCount: this.#committedCount,
      taskCount: this.#records.length - this.#parked.length,
      nowMs,
    });
  }

  /** Gives up on tasks that no worker has the memory for. Called when some worker found nothing to do. */
  parkUnfit(nowMs: number): void {
    const most = this.#pool.memoryBytesMax;
    if (most === null || this.#phase !== "running") return;
    const { memoryPatienceMs } = this.#options;
    for (const index of this.#backlog.heads()) {
      const record = this.#at(index);
      const sinceMs = Math.max(record.atMs, this.#pool.memoryChangedAtMs);
      if (record.memoryBytes <= most || nowMs - sinceMs < memoryPatienceMs) continue;
      const message =
        `needs ${record.memoryBytes} bytes of memory, the largest worker allows ${most}; ` +
        "start one with a larger --memory";
      this.#park(record, { code: "MEMORY_TOO_SMALL", message, retryable: false });
    }
  }

  /** What runs in a job that ends without success has its time: a resume may use what ends well. */
  #stop(nowMs: number): void {
    this.#stoppingSinceMs ??= nowMs;
    if (nowMs - this.#stoppingSinceMs < this.#options.stopGraceMs) return;
    for (const lease of this.#leases) {
      const record = this.#at(lease.index);
      this.#revoke(lease, record, "cancelled", nowMs);
      if (record.leases.length === 0) this.#backlog.setState(record, "ready");
    }
  }

  endIfDone(): void {
    if (this.#phase === "ended" || this.#leases.size > 0) return;
    const ended = this.#ending();
    if (ended === null) return;
    this.#phase = "ended";
    this.#emit(ended);
  }

  #ending(): Decision | null {
    if (this.#phase === "cancelling") return { kind: "cancelled" };
    const isOpen = this.#openCount > 0 || !this.#isSealed;
    if (this.#phase === "running" && isOpen) return null;
    if (this.#parked.length > 0) return { kind: "fail", parked: this.#parked };
    return { kind: "finish" };
  }

  /** A task goes back to a worker it failed on only when there is no other one, or none that takes it. */
  #maySend(index: number, worker: WorkerState, nowMs: number): boolean {
    const { failedOn, memoryBytes, atMs } = this.#at(index);
    if (!failedOn.includes(worker.id)) return true;
    if (nowMs - atMs >= this.#options.elsewhereMs) return true;
    return !this.#pool.hasOther(failedOn, memoryBytes);
  }

  #reserveForSuspect(worker: WorkerState, nowMs: number): void {
    if (this.#backlog.suspectCount === 0 || worker.leases.size === 0) return;
    const dueMs = nowMs - this.#options.suspectPatienceMs;
    const accepts = (index: number): boolean =>
      this.#at(index).atMs <= dueMs && this.#maySend(index, worker, nowMs);
    const index = this.#backlog.takeSuspect(worker, worker.memoryBytes, accepts);
    if (index !== null) worker.reserved = { owner: this, index };
  }

  #copy(worker: WorkerState, freeBytes: number, nowMs: number): number | null {
    const position = this.#late.findIndex((index) => {
      const { leases, cost, memoryBytes, state, isSuspect, failures } = this.#at(index);
      const [first, second] = leases;
      if (state !== "leased" || first === undefined || second !== undefined) return false;
      if (first.worker === worker || memoryBytes > freeBytes) return false;
      if (isSuspect && worker.leases.size > 0) return false;
      // Copies count among the attempts: a task that kills workers would else always have one running.
      if (failures + 1 >= this.#options.retry.attemptsMax) return false;
      if (!this.#maySend(index, worker, nowMs)) return false;
      const elapsedMs = nowMs - first.sinceMs;
      // A worker that would need longer than the first has taken so far helps nobody.
      if ((worker.paceMs ?? 0) * cost > elapsedMs) return false;
      return this.#stragglers.mayCopy(elapsedMs, cost, this.#totalCost);
    });
    if (position === -1) return null;
    const [index] = this.#late.splice(position, 1);
    return index === undefined ? null : this.#lease(index, worker, nowMs);
  }

  #lease(index: number, worker: WorkerState, nowMs: number): number {
    const record = this.#at(index);
    const isCopy = record.state === "leased";
    record.epoch += 1;
    const { task, epoch, cost, memoryBytes, isSuspect } = record;
    const lease: Lease = {
      index,
      epoch,
      worker,
      memoryBytes,
      isSuspect,
      isCopy,
      owner: this,
      sinceMs: nowMs,
      revokedAtMs: null,
    };
    this.#backlog.setState(record, "leased");
    record.leases = [...record.leases, lease];
    this.#leases.add(lease);
    this.#pool.hold(lease);
    worker.credits -= 1;
    if (isCopy) this.#stragglers.copyStarted(cost);
    this.#emit({ kind: "assign", taskId: task.id, epoch, workerId: worker.id });
    return cost;
  }

  /** The attempt is over on the worker, counting or not; null when its result does not count. */
  #takeReport(record: TaskRecord, epoch: number, workerId: string): Lease | null {
    for (const lease of this.#pool.get(workerId)?.leases ?? []) {
      if (lease.owner !== this || lease.epoch !== epoch) continue;
      if (this.#at(lease.index) !== record) continue;
      this.#pool.release(lease);
      return lease.revokedAtMs === null ? lease : null;
    }
    return null;
  }

  /** Its result does not count from here on. */
  #end(lease: Lease, record: TaskRecord): void {
    record.leases = record.leases.filter((one) => one !== lease);
    this.#leases.delete(lease);
    if (lease.isCopy) this.#stragglers.copyEnded(record.cost);
    const [copy] = record.leases;
    if (copy === undefined || !copy.isCopy) return;
    // The only attempt that is left is a copy of nothing.
    this.#stragglers.copyEnded(record.cost);
    copy.isCopy = false;
  }

  #supersede(lease: Lease, record: TaskRecord, nowMs: number): void {
    const elapsedMs = nowMs - lease.sinceMs;
    this.#stragglers.lost(lease, elapsedMs, record.cost);
    const paceMs = elapsedMs / record.cost;
    if (paceMs > (lease.worker.paceMs ?? 0)) notePace(lease.worker, paceMs);
    this.#revoke(lease, record, "superseded", nowMs);
  }

  #revoke(lease: Lease, record: TaskRecord, reason: RevokeReason, nowMs: number): void {
    this.#end(lease, record);
    this.#tellRevoked(lease, reason);
    lease.revokedAtMs = nowMs;
  }

  #blame(record: TaskRecord, workerId: string): void {
    if (!record.failedOn.includes(workerId)) record.failedOn = [...record.failedOn, workerId];
  }

  #retryOrPark(record: TaskRecord, index: number, failure: TaskFailure, nowMs: number): void {
    record.failures += 1;
    // Another copy still runs: it decides, unless no attempt can succeed.
    if (failure.retryable && record.leases.length > 0) return;
    for (const other of record.leases) this.#revoke(other, record, "cancelled", nowMs);
    const delayMs = failure.retryable ? retryDelayMs(record.failures, this.#options.retry) : null;
    if (delayMs === null) {
      this.#park(record, failure);
      return;
    }
    this.#backlog.wait(index, nowMs + delayMs);
  }

  #park(record: TaskRecord, failure: TaskFailure): void {
    this.#backlog.setState(record, "parked");
    this.#openCount -= 1;
    const parked = { taskId: record.task.id, attempts: record.failures, failure };
    this.#parked.push(parked);
    this.#emit({ kind: "park", ...parked });
    if (!failure.retryable && this.#phase === "running") this.#phase = "stopping";
  }

  #tellRevoked({ index, epoch, worker }: Lease, reason: RevokeReason): void {
    const taskId = this.#at(index).task.id;
    this.#emit({ kind: "revoke", taskId, epoch, workerId: worker.id, reason });
  }

  #record(taskId: string): TaskRecord | undefined {
    const index = this.#indexById.get(taskId);
    return index === undefined ? undefined : this.#at(index);
  }

  #at(index: number): TaskRecord {
    const record = this.#records[index];
    assert(record !== undefined, "task index is in range");
    return record;
  }
}
