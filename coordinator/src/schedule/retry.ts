// When a failed task may be tried again, and when it may not.

export interface RetryOptions {
  /** Failed attempts, worker deaths included, after which a task is parked. */
  readonly attemptsMax: number;
  readonly delayFirstMs: number;
  readonly delayMaxMs: number;
}

/** Three deaths condemn a task rather than the machine; the delays let a full disk or cache settle. */
export const RETRY_DEFAULTS: RetryOptions = {
  attemptsMax: 3,
  delayFirstMs: 200,
  delayMaxMs: 5_000,
};

/** Milliseconds to wait after the given number of failures; null when there is no next attempt. */
export function retryDelayMs(failures: number, options: RetryOptions): number | null {
  if (failures >= options.attemptsMax) return null;
  return Math.min(options.delayFirstMs * 2 ** (failures - 1), options.delayMaxMs);
}
