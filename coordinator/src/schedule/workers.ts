// The workers as the scheduler knows them: credits, memory and what each has in hand. An attempt
// that was told to stop keeps its memory until the worker says that it has stopped.
import { type Affinity, createAffinity } from "./affinity.js";
import type { TaskFailure } from "./protocol.js";

/** One attempt of one task on one worker. */
export interface Lease {
  /** Of the task, within its job. */
  readonly index: number;
  readonly epoch: number;
  readonly worker: WorkerState;
  readonly memoryBytes: number;
  readonly sinceMs: number;
  /** Another attempt of the task, which began before, counts as well. */
  isCopy: boolean;
  /** It runs alone on its worker. */
  readonly isSuspect: boolean;
  /** When it was revoked; null while its result counts. */
  revokedAtMs: number | null;
  readonly owner: LeaseOwner;
}

/** The job that a task belongs to. */
export interface LeaseOwner {
  readonly jobNumber: number;
  /** The worker moved nothing for too long. */
  expire(lease: Lease, nowMs: number): void;
  /** The worker is gone. */
  lose(lease: Lease, failure: TaskFailure, nowMs: number): void;
  /** The worker is not to be believed: that is no fault of the task. */
  distrust(lease: Lease, nowMs: number): void;
  /** The worker is empty, as was wanted for this task. */
  takeReserved(index: number, worker: WorkerState, nowMs: number): void;
  /** The worker takes no tasks any more: another one may. */
  dropReserved(index: number): void;
}

export interface WorkerState {
  readonly id: string;
  readonly memoryBytes: number;
  usedBytes: number;
  credits: number;
  progressedAtMs: number;
  /** Takes no task, ever again. */
  isLeaving: boolean;
  /** Milliseconds per unit of cost of its latest tasks; null before the first. */
  paceMs: number | null;
  /** It empties itself for a task that must run alone. */
  reserved: Reservation | null;
  readonly leases: Set<Lease>;
}

export interface Reservation {
  readonly owner: LeaseOwner;
  readonly index: number;
}

/** When the worker last showed that it works on it. */
export function aliveAtMs({ sinceMs, worker }: Lease): number {
  return Math.max(sinceMs, worker.progressedAtMs);
}

/** Notes how long an attempt took, or at least took. */
export function notePace(worker: WorkerState, paceMs: number): void {
  worker.paceMs = worker.paceMs === null ? paceMs : (worker.paceMs + paceMs) / 2;
}

export class WorkerPool {
  readonly affinity: Affinity = createAffinity();
  readonly #byId = new Map<string, WorkerState>();
  readonly #quarantined = new Set<string>();
  /** Largest memory of a worker that takes tasks; null while there is none. */
  #memoryBytesMax: number | null = null;
  #memoryChangedAtMs = 0;

  get(workerId: string): WorkerState | undefined {
    return this.#byId.get(workerId);
  }

  values(): Iterable<WorkerState> {
    return this.#byId.values();
  }

  get memoryBytesMax(): number | null {
    return this.#memoryBytesMax;
  }

  /** Since when `memoryBytesMax` is what it is. */
  get memoryChangedAtMs(): number {
    return this.#memoryChangedAtMs;
  }

  join(id: string, memoryBytes: number, nowMs: number): void {
    if (this.#byId.has(id)) return;
    const isLeaving = this.#quarantined.has(id);
    this.#byId.set(id, {
      id,
      memoryBytes,
      usedBytes: 0,
      credits: 0,
      progressedAtMs: nowMs,
      isLeaving,
      paceMs: null,
      reserved: null,
      leases: new Set(),
    });
    if (isLeaving) return;
    this.affinity.join(id);
    if (this.#memoryBytesMax === null || memoryBytes > this.#memoryBytesMax) {
      this.#memoryBytesMax = memoryBytes;
      this.#memoryChangedAtMs = nowMs;
    }
  }

  /** No more tasks for it. */
  retire(worker: WorkerState, nowMs: number): void {
    if (worker.isLeaving) return;
    worker.isLeaving = true;
    this.affinity.leave(worker.id);
    if (worker.memoryBytes === this.#memoryBytesMax) this.#measureMemory(nowMs);
  }

  quarantine(workerId: string): void {
    this.#quarantined.add(workerId);
  }

  remove(worker: WorkerState, nowMs: number): void {
    this.retire(worker, nowMs);
    this.#byId.delete(worker.id);
  }

  /** Is there another worker for a task of this size than these? */
  hasOther(excluded: readonly string[], memoryBytes: number): boolean {
    for (const worker of this.#byId.values()) {
      if (worker.isLeaving || worker.memoryBytes < memoryBytes) continue;
      if (!excluded.includes(worker.id)) return true;
    }
    return false;
  }

  hold(lease: Lease): void {
    lease.worker.leases.add(lease);
    lease.worker.usedBytes += lease.memoryBytes;
  }

  /** The worker has nothing of it any more. */
  release(lease: Lease): void {
    if (lease.worker.leases.delete(lease)) lease.worker.usedBytes -= lease.memoryBytes;
  }

  /** Leases of workers that moved nothing for so long. Revoked ones that old are forgotten. */
  expired(leaseTtlMs: number, nowMs: number): readonly Lease[] {
    const expired: Lease[] = [];
    for (const worker of this.#byId.values()) {
      for (const lease of worker.leases) {
        if (lease.revokedAtMs !== null) {
          if (nowMs - lease.revokedAtMs >= leaseTtlMs) this.release(lease);
          continue;
        }
        if (nowMs - aliveAtMs(lease) >= leaseTtlMs) expired.push(lease);
      }
    }
    return expired;
  }

  #measureMemory(nowMs: number): void {
    let most: number | null = null;
    for (const { isLeaving, memoryBytes } of this.#byId.values()) {
      if (!isLeaving && (most === null || memoryBytes > most)) most = memoryBytes;
    }
    if (most === this.#memoryBytesMax) return;
    this.#memoryBytesMax = most;
    this.#memoryChangedAtMs = nowMs;
  }
}
