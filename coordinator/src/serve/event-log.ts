// The events of one job, one line of JSON each. Appending is synchronous, and events that change what a
// restart does are fsynced before it returns: a merge goes on as soon as it has told an event, so the
// order "event first, then the deed" holds only if the event is on disk by then.
import {
  closeSync,
  fdatasyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  writeSync,
} from "node:fs";
import { readFile } from "node:fs/promises";
import { fileError } from "../jobs/durable-file.js";
import type { MergeEvent } from "../jobs/events.js";
import { isEndState, type JobError, type JobStateName } from "./job-record.js";

/** How a job that did not finish ends its log, in the form that a failing command prints. */
export interface ErrorEvent extends JobError {
  readonly kind: "error";
  readonly exit: number;
}

export type JobEvent = MergeEvent | ErrorEvent;

export interface LogEntry {
  /** 1, 2, 3 … without gaps. */
  readonly sequence: number;
  readonly time: string;
  readonly state: JobStateName;
  readonly event: JobEvent;
}

export interface EventLog extends Disposable {
  /** Grows as events are appended. */
  readonly entries: readonly LogEntry[];
  append(entry: Omit<LogEntry, "sequence">): void;
}

const DURABLE: ReadonlySet<JobEvent["kind"]> = new Set(["planned", "published", "done", "error"]);

/** Opens or creates a log, cutting off a line that a crash has torn. */
export function openEventLog(path: string): EventLog {
  try {
    const file = openSync(path, "a+");
    const content = readFileSync(path);
    const { entries, validBytes } = parseEntries(content);
    if (validBytes < content.length) ftruncateSync(file, validBytes);
    return new FileLog(path, file, entries);
  } catch (error) {
    throw fileError(path, "open", error);
  }
}

/** The entries of a log that nobody writes any more. */
export async function readEventLog(path: string): Promise<readonly LogEntry[]> {
  try {
    return parseEntries(await readFile(path)).entries;
  } catch (error) {
    throw fileError(path, "read", error);
  }
}

function parseEntries(content: Buffer): {
  readonly entries: LogEntry[];
  readonly validBytes: number;
} {
  const entries: LogEntry[] = [];
  let start = 0;
  for (;;) {
    const end = content.indexOf("\n", start);
    const entry = end < 0 ? null : parseEntry(content.toString("utf8", start, end));
    if (entry === null || entry.sequence !== entries.length + 1)
      return { entries, validBytes: start };
    entries.push(entry);
    start = end + 1;
  }
}

function parseEntry(line: string): LogEntry | null {
  try {
    return JSON.parse(line);
  } catch {
    // Torn by a power cut; what follows it never counted.
    return null;
  }
}

class FileLog implements EventLog {
  readonly entries: LogEntry[];
  readonly #path: string;
  #file: number | null;

  constructor(path: string, file: number, entries: LogEntry[]) {
    this.entries = entries;
    this.#path = path;
    this.#file = file;
  }

  append(event: Omit<LogEntry, "sequence">): void {
    if (this.#file === null) return;
    const entry = { sequence: this.entries.length + 1, ...event };
    try {
      writeSync(this.#file, `${JSON.stringify(entry)}\n`);
      if (DURABLE.has(event.event.kind) || isEndState(event.state)) fdatasyncSync(this.#file);
    } catch (error) {
      throw fileError(this.#path, "append", error);
    }
    this.entries.push(entry);
  }

  [Symbol.dispose](): void {
    if (this.#file !== null) closeSync(this.#file);
    this.#file = null;
  }
}
