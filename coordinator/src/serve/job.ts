// One job while the coordinator lives: its record, its log, what it is doing, and who waits for news of
// it. Watchers hold a position in the log, not a queue, so a slow one costs nothing.
import { GraftError } from "@graft/proto/errors";
import type { MergeEvent, Stage } from "../jobs/events.js";
import type { EventLog, JobEvent, LogEntry } from "./event-log.js";
import {
  isEndState,
  type JobEnd,
  type JobRecord,
  type JobStateName,
  jobState,
} from "./job-record.js";
import type { JobStore } from "./job-store.js";

export type ProgressEvent = Extract<MergeEvent, { kind: "progress" }>;

/** A recorded entry, or progress under the number of the entry before it. */
export interface WatchItem extends Omit<LogEntry, "event"> {
  readonly event: JobEvent;
}

/** Nobody reads faster; a merge over many workers tells far more often. */
const PROGRESS_MS = 100;

export interface JobOptions {
  readonly record: JobRecord;
  readonly store: JobStore;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export class Job {
  /** Stops the running merge; null while none runs. */
  running: AbortController | null = null;
  readonly #store: JobStore;
  readonly #now: () => number;
  #record: JobRecord;
  #stage: Stage | null = null;
  #progress: ProgressEvent | null = null;
  #progressAtMs = 0;
  #log: EventLog | null = null;
  #saved: Promise<void> = Promise.resolve();
  #news = createNews();

  constructor({ record, store, now }: JobOptions) {
    this.#record = record;
    this.#store = store;
    this.#now = now;
  }

  get record(): JobRecord {
    return this.#record;
  }

  get state(): JobStateName {
    return jobState(this.#record, this.#stage);
  }

  get stage(): Stage | null {
    return this.#stage;
  }

  /** Of the running stage. */
  get progress(): ProgressEvent | null {
    return this.#progress;
  }

  /** What was told so far; to be asked before the job has ended. */
  get told(): readonly LogEntry[] {
    return this.#openLog().entries;
  }

  /** Throws when the event cannot be recorded. */
  tell(event: JobEvent, state: JobStateName = this.state): void {
    if (event.kind === "progress") {
      const nowMs = this.#now();
      if (nowMs - this.#progressAtMs < PROGRESS_MS) return;
      this.#progressAtMs = nowMs;
      this.#progress = event;
    } else {
      if (event.kind === "stage") {
        this.#stage = event.stage;
        this.#progress = null;
      }
      const time = new Date(this.#now()).toISOString();
      const recorded = event.kind === "stage" ? this.state : state;
      this.#openLog().append({ time, state: recorded, event });
    }
    this.#news.tell();
  }

  /** The job begins, or begins again: what an earlier run was doing no longer counts. */
  restart(): void {
    this.#stage = null;
    this.#progress = null;
  }

  /** Changes the record; on stable storage when it resolves. */
  change(change: Partial<JobRecord>): Promise<void> {
    this.#record = { ...this.#record, ...change };
    const saved = this.#saved.then(() => this.#store.save(this.#record));
    this.#saved = saved.catch(() => undefined);
    this.#news.tell();
    return saved;
  }

  /** The last entry of the log says how it ended; the record follows. */
  async finish(end: JobEnd): Promise<void> {
    try {
      await this.change({ end, endTime: new Date(this.#now()).toISOString() });
    } finally {
      this.close();
      this.#news.tell();
    }
  }

  close(): void {
    this.#log?.[Symbol.dispose]();
    this.#log = null;
  }

  #openLog(): EventLog {
    this.#log ??= this.#store.openLog(this.#record.jobId);
    return this.#log;
  }

  /**
   * Entries after a number, and progress, until the job has ended. Rejects with the reason of the
   * signal; returns when `signal` is aborted without being asked for more.
   */
  async *follow(afterSequence: number, signal: AbortSignal): AsyncGenerator<WatchItem> {
    const isOver = this.#record.end !== null;
    const entries = isOver ? await this.#store.readLog(this.#record.jobId) : this.told;
    // The end is told again to whoever asks again. A number from before a power cut may be too high.
    let next = Math.max(0, Math.min(afterSequence, entries.length - (isOver ? 1 : 0)));
    let progress: ProgressEvent | null = null;
    for (;;) {
      const news = this.#news.next();
      for (; next < entries.length; next += 1) {
        const entry = entries[next];
        if (entry === undefined) break;
        yield entry;
        if (isEndState(entry.state)) return;
      }
      if (isOver) return;
      if (this.#progress !== null && this.#progress !== progress) {
        progress = this.#progress;
        yield {
          sequence: next,
          time: new Date(this.#now()).toISOString(),
          state: this.state,
          event: progress,
        };
      }
      if (next < entries.length) continue;
      await abortable(news, signal);
    }
  }

  /** Resolves when the job has ended or, with the signal's reason, rejects. */
  async ended(signal: AbortSignal): Promise<void> {
    while (this.#record.end === null) await abortable(this.#news.next(), signal);
  }
}

interface News {
  /** Resolves at the next tell(). */
  next(): Promise<void>;
  tell(): void;
}

function createNews(): News {
  let resolve = (): void => undefined;
  let promise = Promise.resolve();
  const renew = (): void => {
    promise = new Promise((done) => {
      resolve = done;
    });
  };
  renew();
  return {
    next: () => promise,
    tell() {
      resolve();
      renew();
    },
  };
}

function abortable(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason ?? new GraftError("CANCELLED"));
    if (signal.aborted) return onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    promise.then(() => {
      signal.removeEventListener("abort", onAbort);
      resolve();
    });
  });
}
