// The record of one cached file: a line per piece that came or went, each with its own checksum. A
// crash may tear the end of it or leave it ahead of the bytes; torn lines are skipped, and what the
// others say is believed only after the bytes have been digested. So nothing here waits for a sync.
import { type FileHandle, open, readFile, rename, writeFile } from "node:fs/promises";
import { crc32 } from "node:zlib";
import type { Range } from "./ranges.js";

export interface LoggedPiece extends Range {
  /** XXH3-128, 32 hex digits. */
  readonly digest: string;
}

export interface PieceLog extends AsyncDisposable {
  /** In the order of calls. */
  added(piece: LoggedPiece): Promise<void>;
  removed(pieces: readonly Range[]): Promise<void>;
}

export interface OpenedLog {
  readonly log: PieceLog;
  /** Those that came and did not go, oldest first. */
  readonly pieces: readonly LoggedPiece[];
  readonly damagedLineCount: number;
}

const LINE = /^([0-9a-f]{8}) ([+-]) (\d{1,16}) (\d{1,16})(?: ([0-9a-f]{32}))?$/;
/** A log is rewritten on opening when it has more lines than this and twice as many as pieces. */
const SPARE_LINES_MAX = 1000;

/** A file that is not there is an empty log. */
export async function openPieceLog(path: string): Promise<OpenedLog> {
  const read = await readPieceLog(path);
  const { pieces, lineCount, damagedLineCount } = read;
  const wasteful = lineCount > SPARE_LINES_MAX && lineCount > 2 * pieces.length;
  if (damagedLineCount > 0 || wasteful) {
    const temporary = `${path}.new`;
    await writeFile(temporary, pieces.map(addedLine).join(""));
    await rename(temporary, path);
  }
  return { log: createLog(await open(path, "a")), pieces, damagedLineCount };
}

export interface ReadLog {
  readonly pieces: readonly LoggedPiece[];
  readonly lineCount: number;
  readonly damagedLineCount: number;
}

/** Reads and changes nothing. */
export async function readPieceLog(path: string): Promise<ReadLog> {
  const text = await readFile(path, "latin1").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "";
    throw error;
  });
  const pieces = new Map<string, LoggedPiece>();
  const lines = text.split("\n");
  // What follows the last newline is empty, or the start of a line that was never finished.
  const torn = lines.pop() === "" ? 0 : 1;
  let damagedLineCount = torn;
  for (const line of lines) {
    const entry = parseLine(line);
    if (entry === undefined) {
      damagedLineCount += 1;
      continue;
    }
    const { start, end } = entry;
    const key = `${start} ${end}`;
    pieces.delete(key);
    if (entry.digest !== undefined) pieces.set(key, { start, end, digest: entry.digest });
  }
  return { pieces: [...pieces.values()], lineCount: lines.length, damagedLineCount };
}

function createLog(file: FileHandle): PieceLog {
  let last: Promise<void> = Promise.resolve();
  let closing: Promise<void> | undefined;
  const append = (text: string): Promise<void> => {
    const written = last.then(() => file.appendFile(text));
    last = written.catch(() => undefined);
    return written;
  };
  return {
    added: (piece) => append(addedLine(piece)),
    removed: (pieces) =>
      append(pieces.map(({ start, end }) => withChecksum(`- ${start} ${end}`)).join("")),
    [Symbol.asyncDispose]: () => {
      closing ??= last.then(() => file.close());
      return closing;
    },
  };
}

function addedLine({ start, end, digest }: LoggedPiece): string {
  return withChecksum(`+ ${start} ${end} ${digest}`);
}

function withChecksum(text: string): string {
  return `${checksum(text)} ${text}\n`;
}

function checksum(text: string): string {
  return crc32(text).toString(16).padStart(8, "0");
}

function parseLine(line: string): (Range & { readonly digest: string | undefined }) | undefined {
  const match = LINE.exec(line);
  if (match === null || match[1] !== checksum(line.slice("12345678 ".length))) return undefined;
  const [, , sign, startText, endText, digest] = match;
  const start = Number(startText);
  const end = Number(endText);
  if (!Number.isSafeInteger(end) || start >= end) return undefined;
  return (sign === "+") === (digest !== undefined) ? { start, end, digest } : undefined;
}
