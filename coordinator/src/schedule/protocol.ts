// What goes into the scheduler and what comes out. Events are facts that happened; decisions are
// what the caller must now do, in order.

export interface ScheduledTask {
  readonly id: string;
  /** Workers that already hold most of the task's source bytes; they get it first. */
  readonly preferredWorkers?: readonly string[];
}

export interface TaskFailure {
  /** A code of the error table. */
  readonly code: string;
  readonly message: string;
  /** false: no other attempt can succeed, so the job ends as soon as running tasks have ended. */
  readonly retryable: boolean;
}

export type ScheduleEvent =
  | { readonly kind: "worker-joined"; readonly workerId: string }
  | { readonly kind: "credits-granted"; readonly workerId: string; readonly count: number }
  /** The worker moved bytes: its leases are renewed. */
  | { readonly kind: "worker-progressed"; readonly workerId: string }
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
  | { readonly kind: "worker-lost"; readonly workerId: string; readonly failure: TaskFailure }
  | { readonly kind: "tick" }
  | { readonly kind: "cancel" };

export interface ParkedTask {
  readonly taskId: string;
  readonly attempts: number;
  readonly failure: TaskFailure;
}

export type Decision =
  | {
      readonly kind: "assign";
      readonly taskId: string;
      readonly epoch: number;
      readonly workerId: string;
    }
  /** The lease ended early: tell the worker to stop; its result will be refused. */
  | {
      readonly kind: "revoke";
      readonly taskId: string;
      readonly epoch: number;
      readonly workerId: string;
    }
  /** The result counts: journal it. Emitted exactly once per task. */
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
  /** Every task is committed. The last decision. */
  | { readonly kind: "finish" }
  /** Nothing is running and what is missing cannot be had. The last decision. */
  | { readonly kind: "fail"; readonly parked: readonly ParkedTask[] }
  /** Cancelled and nothing is running. The last decision. */
  | { readonly kind: "cancelled" };
