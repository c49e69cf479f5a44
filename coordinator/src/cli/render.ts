// Progress for people: one line that is rewritten on a terminal, a line now and then elsewhere. Pure:
// takes events and times, gives text; session.ts decides where it goes.

import type { MergeEvent, Stage } from "../jobs/events.js";
import { formatRate, formatSize } from "../jobs/format-size.js";

export interface Progress {
  readonly stage: Stage;
  readonly readBytes: number;
  readonly writtenBytes: number;
  /** Out of totalBytes. */
  readonly doneBytes: number;
  readonly totalBytes: number;
  readonly elapsedSeconds: number;
}

export interface Renderer {
  /** Text to write to the terminal for an event, or null. */
  handle(event: MergeEvent, nowMs: number): string | null;
  /** Text that leaves the terminal ready for other output. */
  clear(): string;
}

export interface RendererOptions {
  readonly isTerminal: boolean;
  /** Of the terminal. */
  readonly columns: number;
}

const STAGE_TEXTS: Readonly<Record<Stage, string>> = {
  describe: "reading model headers",
  plan: "planning",
  prepare: "preparing output files",
  merge: "merging",
  sync: "syncing to disk",
  verify: "verifying",
  publish: "publishing",
};

const REDRAW_MS = 100;
const PLAIN_LINE_MS = 5_000;
const ERASE_LINE = "\r\x1b[2K";

export function createRenderer({ isTerminal, columns }: RendererOptions): Renderer {
  let shownAtMs = Number.NEGATIVE_INFINITY;
  let isLineOpen = false;

  const line = (text: string): string => {
    const erase = isLineOpen ? ERASE_LINE : "";
    isLineOpen = false;
    return `${erase}${text}\n`;
  };
  const status = (text: string): string => {
    isLineOpen = true;
    return `${ERASE_LINE}${text.slice(0, Math.max(0, columns - 1))}`;
  };

  return {
    handle(event, nowMs) {
      switch (event.kind) {
        case "stage":
          shownAtMs = nowMs;
          return isTerminal ? status(STAGE_TEXTS[event.stage]) : line(STAGE_TEXTS[event.stage]);
        case "progress": {
          const isDue = nowMs - shownAtMs >= (isTerminal ? REDRAW_MS : PLAIN_LINE_MS);
          if (!isDue) return null;
          shownAtMs = nowMs;
          const text = progressText(event);
          return isTerminal ? status(text) : line(text);
        }
        case "planned":
          return line(plannedText(event));
        case "resumed":
          return line(
            `resuming: ${event.verifiedCount} of ${event.taskCount} tasks are done and verify`,
          );
        case "warning":
          return line(`warning: ${event.message}`);
        case "problems":
        case "published":
        case "done":
          return null;
      }
    },
    clear() {
      const text = isLineOpen ? ERASE_LINE : "";
      isLineOpen = false;
      return text;
    },
  };
}

function plannedText(event: Extract<MergeEvent, { kind: "planned" }>): string {
  const { readBytes, outputBytes, taskCount } = event;
  return `plan: read ${formatSize(readBytes)}, write ${formatSize(outputBytes)}, ${taskCount} tasks`;
}

const BAR_WIDTH = 20;

/** `merging [#####---------------]  26 %  read 1.2 GB  written 0.6 GB  2.1 GB/s  ETA 12 s` */
export function progressText(progress: Progress): string {
  const { stage, readBytes, writtenBytes, doneBytes, totalBytes, elapsedSeconds } = progress;
  const part = totalBytes > 0 ? Math.min(1, doneBytes / totalBytes) : 1;
  const filled = Math.round(part * BAR_WIDTH);
  const bar = `[${"#".repeat(filled)}${"-".repeat(BAR_WIDTH - filled)}]`;
  const percent = `${Math.floor(part * 100)} %`.padStart(5);
  const rate = elapsedSeconds > 0 ? (readBytes + writtenBytes) / elapsedSeconds : 0;
  const written = writtenBytes > 0 ? `  written ${formatSize(writtenBytes)}` : "";
  const moved = `read ${formatSize(readBytes)}${written}  ${formatRate(rate)}`;
  const eta = part > 0 && part < 1 ? formatSeconds((elapsedSeconds * (1 - part)) / part) : null;
  const ends = eta === null ? "" : `  ETA ${eta}`;
  return `${STAGE_TEXTS[stage]} ${bar} ${percent}  ${moved}${ends}`;
}

/** 0.4 s, 12 s, 3 min 05 s, 2 h 10 min */
export function formatSeconds(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const pad = (value: number): string => String(value).padStart(2, "0");
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${pad(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${pad(Math.floor((whole % 3600) / 60))} min`;
}
