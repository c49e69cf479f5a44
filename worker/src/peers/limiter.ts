// At most so many at a time, first come first served.

/** Runs the call when there is a free place; rejects with signal.reason when that does not come. */
export type Limiter = <R>(call: () => Promise<R>, signal: AbortSignal) => Promise<R>;

export function createLimiter(countMax: number): Limiter {
  const waiting: (() => void)[] = [];
  let runningCount = 0;
  const enter = async (signal: AbortSignal): Promise<void> => {
    signal.throwIfAborted();
    if (runningCount < countMax) {
      runningCount += 1;
      return;
    }
    let leave: () => void = () => undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        leave = () => {
          const at = waiting.indexOf(resolve);
          if (at >= 0) waiting.splice(at, 1);
          reject(signal.reason);
        };
        waiting.push(resolve);
        signal.addEventListener("abort", leave, { once: true });
      });
    } finally {
      signal.removeEventListener("abort", leave);
    }
  };
  return async (call, signal) => {
    await enter(signal);
    try {
      return await call();
    } finally {
      // The place goes to the next one in line without ever being free.
      const next = waiting.shift();
      if (next === undefined) runningCount -= 1;
      else next();
    }
  };
}
