// Times the stages of a merge. The clock is a parameter; seconds are measured, never published.
import type { OnEvent, Stage } from "./events.js";
import type { StageTime } from "./summary.js";

export interface StageClock {
  /** Ends the running stage and begins the next one. */
  begin(stage: Stage): void;
  /** Notes what the running stage has moved so far. */
  moved(bytes: number): void;
  /** Of the running stage. */
  elapsedSeconds(): number;
  totalSeconds(): number;
  /** Every stage so far, the running one included. A stage that ran twice is one line. */
  times(): readonly StageTime[];
}

export function createStageClock(nowMs: () => number, onEvent: OnEvent): StageClock {
  const startMs = nowMs();
  const ended = new Map<Stage, { seconds: number; bytes: number }>();
  let running: { readonly stage: Stage; readonly sinceMs: number; bytes: number } | null = null;

  const elapsedSeconds = (): number => (running === null ? 0 : (nowMs() - running.sinceMs) / 1000);
  const close = (): void => {
    if (running === null) return;
    const before = ended.get(running.stage) ?? { seconds: 0, bytes: 0 };
    ended.set(running.stage, {
      seconds: before.seconds + elapsedSeconds(),
      bytes: before.bytes + running.bytes,
    });
    running = null;
  };

  return {
    begin(stage) {
      close();
      running = { stage, sinceMs: nowMs(), bytes: 0 };
      onEvent({ kind: "stage", stage });
    },
    moved(bytes) {
      if (running !== null) running.bytes = bytes;
    },
    elapsedSeconds,
    totalSeconds: () => (nowMs() - startMs) / 1000,
    times() {
      const stage = running?.stage;
      close();
      if (stage !== undefined) running = { stage, sinceMs: nowMs(), bytes: 0 };
      return [...ended].map(([name, time]) => ({ stage: name, ...time }));
    },
  };
}
