// What goes into the scheduler and what comes out. Events are facts that happened; decisions are
// what the caller must now do, in order.

export interface ScheduledTask {
  readonly id: string;
  /** Workers that already hold most of the task's source bytes; they get it first. */
  readonly preferredWorkers?: readonly string[];
  /** Source bytes that each worker already holds; the one with the most gets the task first. */
  readonly localBytes?: ReadonlyMap<string, number>;
  /** Tasks with equal keys prefer the same worker where nobody holds their bytes; the id by default. */
  readonly affinityKey?: string;
  /** Bytes that the task reads and writes: its share of the work. 1 by default: all tasks are alike. */
  readonly costBytes?: number;
  /** It is not sent to a worker that has less than this to spare. */
  readonly memoryBytes?: number;
}

export interface TaskFailure {
  /** A code of the error table. */
  readonly code: string;
  readonly message: string;
  /** false: no other attempt can succeed, so the job ends as soon as running tasks have ended. */
  readonly retryable: boolean;
}

/** What happens to workers, whatever they work for. */
export type WorkerEvent =
  /**
   * `memoryBytes` is what its tasks may take together; no bound when left out. A worker that comes back
   * is lost first: joining twice changes nothing.
   */
  | { readonly kind: "worker-joined"; readonly workerId: string; readonly memoryBytes?: number }
  | { readonly kind: "credits-granted"; readonly workerId: string; readonly count: number }
  /** The worker moved bytes: its leases are renewed. */
  | { readonly kind: "worker-progressed"; readonly workerId: string }
  | { readonly kind: "worker-lost"; readonly workerId: string; readonly failure: TaskFailure }
  /** It gets no more tasks; those that run may finish. */
  | { readonly kind: "worker-draining"; readonly workerId: string }
  /** Its results cannot be trusted: leases end, later results are refused, it never gets a task again. */
  | { readonly kind: "worker-quarantined"; readonly workerId: string }
  | { readonly kind: "tick" };

/** What happens to the tasks of one job. */
export type TaskEvent =
  | {
      readonly kind: "task-done";
      readonly workerId: string;
      readonly taskId: string;
      readonly epoch: number;
    }
  | {
      readonly kind: "task-failed";
      readonly workerId: string;
      readonly taskId: string;
      readonly epoch: number;
      readonly failure: TaskFailure;
    }
  /** A committed result is not to be believed after all: the task runs and commits once more. */
  | { readonly kind: "task-reopened"; readonly taskId: string }
  | { readonly kind: "cancel" };

export type ScheduleEvent = WorkerEvent | TaskEvent;

export interface ParkedTask {
  readonly taskId: string;
  readonly attempts: number;
  readonly failure: TaskFailure;
}

/**
 * expired: the worker moved nothing for too long, all its leases end alike. superseded: another copy of
 * the task was committed. cancelled: the job needs no result of it. quarantined: the worker is.
 */
export type RevokeReason = "expired" | "superseded" | "cancelled" | "quarantined";

export type Decision =
  | {
      readonly kind: "assign";
      readonly taskId: string;
      readonly epoch: number;
      readonly workerId: string;
    }
  /**
   * The lease ended early: tell the worker to stop this task, and only this one. Its result will be
   * refused; its memory counts as taken until the worker reports the end, is lost or a lease time passes.
   */
  | {
      readonly kind: "revoke";
      readonly taskId: string;
      readonly epoch: number;
      readonly workerId: string;
      readonly reason: RevokeReason;
    }
  /** The result counts: journal it. Emitted exactly once per task, and once more per reopening. */
  | { readonly kind: "commit"; readonly taskId: string; readonly epoch: number }
  /**
   * The result does not count. `committed` is the epoch whose result did, null while none has:
   * with one, the caller compares the two results, which must be the same bytes.
   */
  | {
      readonly kind: "refuse";
      readonly taskId: string;
      readonly epoch: number;
      readonly committed: number | null;
    }
  | ({ readonly kind: "park" } & ParkedTask)
  /** Every task is committed. The last decision, but for refusals. */
  | { readonly kind: "finish" }
  /** Nothing is running and what is missing cannot be had. The last decision, but for refusals. */
  | { readonly kind: "fail"; readonly parked: readonly ParkedTask[] }
  /** Cancelled and nothing is running. The last decision, but for refusals. */
  | { readonly kind: "cancelled" };
