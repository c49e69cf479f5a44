// What a job is told: its limits when it begins, and the ends of its attempts.
import type { RetryOptions } from "./retry.js";

export interface JobOptions {
  readonly retry: RetryOptions;
  /** Epochs start above this number, so that results of an earlier run are refused. */
  readonly epochFloor: number;
  /** A task goes back to a worker it failed on when no other took it for this long. */
  readonly elsewhereMs: number;
  /** A suspect that waited this long makes a worker empty itself for it. */
  readonly suspectPatienceMs: number;
  /** A task that fits no worker is given up after this long. */
  readonly memoryPatienceMs: number;
  /** When the job is cancelled or cannot succeed any more, what runs has this long to end. */
  readonly stopGraceMs: number;
}

/** Who says what the end of which attempt was. */
export interface TaskReport {
  readonly taskId: string;
  readonly epoch: number;
  readonly workerId: string;
}
