// The truth of a job: an append-only file of lines "<crc32> <json>\n", one line per commit group, each
// fsynced before append() resolves. A group is one line, so a torn write can only damage the last one.
import { type FileHandle, open, readFile } from "node:fs/promises";
import { crc32 } from "node:zlib";
import { GraftError } from "@graft/proto";
import { fileError } from "./durable-file.js";
import type { JournalRecord } from "./records.js";

export interface Journal {
  /** What was there when it was opened. */
  readonly recovered: readonly JournalRecord[];
  /** Resolves when the record is on stable storage. Concurrent appends share one fsync. */
  append(record: JournalRecord): Promise<void>;
  /** Waits for pending appends, then closes. Idempotent. */
  [Symbol.asyncDispose](): Promise<void>;
}

export interface Recovery {
  readonly records: readonly JournalRecord[];
  /** Bytes of the valid prefix; what follows is a torn tail. */
  readonly validBytes: number;
  readonly lineCount: number;
}

interface Line {
  readonly sequence: number;
  readonly records: readonly JournalRecord[];
}

const NEWLINE = 0x0a;
/** Eight hex digits and a space. */
const PREFIX_BYTES = 9;

/**
 * The longest valid prefix. A damaged line with a valid one behind it is not a torn write: refused
 * with JOURNAL, naming the line.
 */
export function recoverJournal(path: string, content: Uint8Array): Recovery {
  const records: JournalRecord[] = [];
  let start = 0;
  let lineCount = 0;
  while (start < content.length) {
    const end = content.indexOf(NEWLINE, start);
    const line = end < 0 ? null : parseLine(content.subarray(start, end));
    if (line === null || line.sequence !== lineCount) break;
    records.push(...line.records);
    lineCount += 1;
    start = end + 1;
  }
  if (hasValidLine(content, start)) {
    const problem = `checksum or order is wrong at byte ${start}, and intact records follow`;
    throw new GraftError("JOURNAL", { path, record: lineCount + 1, problem });
  }
  return { records, validBytes: start, lineCount };
}

function hasValidLine(content: Uint8Array, from: number): boolean {
  let start = from;
  for (;;) {
    const end = content.indexOf(NEWLINE, start);
    if (end < 0) return false;
    if (parseLine(content.subarray(start, end)) !== null) return true;
    start = end + 1;
  }
}

function parseLine(bytes: Uint8Array): Line | null {
  if (bytes.length <= PREFIX_BYTES) return null;
  const payload = bytes.subarray(PREFIX_BYTES);
  const prefix = Buffer.from(bytes.subarray(0, PREFIX_BYTES)).toString("latin1");
  if (prefix !== `${checksum(payload)} `) return null;
  return JSON.parse(Buffer.from(payload).toString("utf8")) as Line;
}

function encodeLine(line: Line): Buffer {
  const payload = Buffer.from(JSON.stringify(line), "utf8");
  return Buffer.concat([Buffer.from(`${checksum(payload)} `), payload, Buffer.from("\n")]);
}

function checksum(bytes: Uint8Array): string {
  return crc32(bytes).toString(16).padStart(8, "0");
}

/** Opens or creates the journal, cutting a torn tail off. The caller holds the lock. */
export async function openJournal(path: string): Promise<Journal> {
  try {
    const handle = await open(path, "a+");
    const content = await readFile(handle);
    const recovery = recoverJournal(path, content);
    if (recovery.validBytes < content.length) {
      await handle.truncate(recovery.validBytes);
      await handle.sync();
    }
    return new FileJournal(path, handle, recovery);
  } catch (error) {
    throw fileError(path, "open", error);
  }
}

/** Reads a journal without opening it for writing: the records of its valid prefix. */
export async function readJournal(path: string): Promise<readonly JournalRecord[]> {
  try {
    return recoverJournal(path, await readFile(path)).records;
  } catch (error) {
    throw fileError(path, "read", error);
  }
}

class FileJournal implements Journal {
  readonly recovered: readonly JournalRecord[];
  readonly #path: string;
  readonly #handle: FileHandle;
  #nextSequence: number;
  #pending: JournalRecord[] = [];
  #pendingFlush: Promise<void> | null = null;
  #lastFlush: Promise<void> = Promise.resolve();
  #failure: GraftError | null = null;
  #closed = false;

  constructor(path: string, handle: FileHandle, recovery: Recovery) {
    this.#path = path;
    this.#handle = handle;
    this.recovered = recovery.records;
    this.#nextSequence = recovery.lineCount;
  }

  append(record: JournalRecord): Promise<void> {
    if (this.#closed) throw new GraftError("INTERNAL", { problem: "append to a closed journal" });
    this.#pending.push(record);
    if (this.#pendingFlush === null) {
      this.#pendingFlush = this.#lastFlush.then(() => this.#flush());
      // A failed append is reported to its callers; the chain itself goes on to refuse the next ones.
      this.#lastFlush = this.#pendingFlush.catch(() => undefined);
    }
    return this.#pendingFlush;
  }

  async #flush(): Promise<void> {
    const records = this.#pending;
    this.#pending = [];
    this.#pendingFlush = null;
    // After a failed write or fsync nothing later may count: a retry could "succeed" without the data.
    if (this.#failure !== null) throw this.#failure;
    try {
      await this.#handle.appendFile(encodeLine({ sequence: this.#nextSequence, records }));
      await this.#handle.datasync();
      this.#nextSequence += 1;
    } catch (error) {
      this.#failure = fileError(this.#path, "append", error);
      throw this.#failure;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#lastFlush;
    await this.#handle.close();
  }
}
