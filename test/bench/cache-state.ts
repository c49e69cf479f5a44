// The state of the page cache in which a run starts, made anew before every run of every contender.
// Warm: its inputs have just been read to the end. Cold: no page of theirs is cached by this system,
// which says nothing about caches below it, of a host or a disk.
import { spawnSync } from "node:child_process";
import { closeSync, openSync, readSync, rmSync, writeFileSync, writeSync } from "node:fs";

export type CacheState = "warm" | "cold";

/** Of the reads and writes that fill the cache. */
const STEP_BYTES = 4 * 2 ** 20;
const WARM_SHARE_MIN = 0.99;
const DROP_CACHES = "/proc/sys/vm/drop_caches";

export interface PrepareOptions {
  readonly state: CacheState;
  readonly inputFiles: readonly string[];
  /** A file of outputBytes is written here and deleted in the warm state. */
  readonly scratchPath: string;
  readonly outputBytes: number;
}

/**
 * Writing and deleting a file leaves the system with memory it has just used. A virtual machine that
 * gives unused memory back to its host would otherwise charge whoever grows the page cache, which is
 * the contender that writes through it, many times over.
 */
export function prepareCache(options: PrepareOptions): void {
  const { state, inputFiles, scratchPath, outputBytes } = options;
  spawnSync("sync");
  if (state === "cold") {
    dropCached(inputFiles);
    return;
  }
  writeScratch(scratchPath, outputBytes);
  rmSync(scratchPath, { force: true });
  for (const path of inputFiles) readThrough(path);
  // Another case's files may hold the memory: pages that were used more often stay.
  if (cachedShare(inputFiles) >= WARM_SHARE_MIN) return;
  dropCached([]);
  for (const path of inputFiles) readThrough(path);
}

/** How much of the files the page cache holds; 1 where nothing can tell. */
function cachedShare(paths: readonly string[]): number {
  const options = ["--bytes", "--noheadings", "--output", "RES,SIZE"];
  const { status, stdout } = spawnSync("fincore", [...options, ...paths], { encoding: "utf8" });
  if (status !== 0) return 1;
  const rows = stdout
    .trim()
    .split("\n")
    .map((row) => row.trim().split(/\s+/).map(Number));
  const sum = (column: number): number => rows.reduce((all, row) => all + (row[column] ?? 0), 0);
  return sum(0) / sum(1);
}

/** As root everything goes, else the pages of these files. */
function dropCached(paths: readonly string[]): void {
  try {
    writeFileSync(DROP_CACHES, "3");
  } catch {
    // Not root: dd tells the system that these pages are not needed, and reads nothing.
    for (const path of paths) spawnSync("dd", [`if=${path}`, "iflag=nocache", "count=0"]);
  }
}

function readThrough(path: string): void {
  const buffer = Buffer.allocUnsafe(STEP_BYTES);
  const file = openSync(path, "r");
  try {
    while (readSync(file, buffer) > 0);
  } finally {
    closeSync(file);
  }
}

function writeScratch(path: string, sizeBytes: number): void {
  const buffer = Buffer.alloc(STEP_BYTES);
  const file = openSync(path, "w");
  try {
    for (let left = sizeBytes; left > 0; left -= STEP_BYTES) {
      writeSync(file, buffer, 0, Math.min(left, STEP_BYTES));
    }
  } finally {
    closeSync(file);
  }
}
