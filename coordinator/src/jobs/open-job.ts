// Takes hold of an output: lock, journal, and what an earlier run left. Everything that can be refused
// is refused before the first file is created.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { GraftError } from "@graft/proto";
import { MANIFEST_NAME } from "../plan/manifest.js";
import { parseManifest } from "../plan/manifest-reader.js";
import type { Journal } from "./journal.js";
import { openJournal, readJournal } from "./journal.js";
import type { Lock } from "./lock.js";
import { checkDiskRoom, checkOutputFree, diskRoom } from "./preflight.js";
import { type BeginRecord, JOURNAL_FORMAT } from "./records.js";
import { type JobHistory, type JobIdentity, readHistory, requireSameJob } from "./resume.js";
import { exists, openWork, removeWork, resetWork, settleSwap, type WorkPaths } from "./work.js";

export interface OpenJob {
  readonly kind: "new" | "interrupted" | "published";
  readonly lock: Lock;
  readonly journal: Journal;
  readonly history: JobHistory;
}

export interface OpenJobOptions {
  readonly paths: WorkPaths;
  readonly identity: JobIdentity;
  readonly outputBytes: number;
  readonly force: boolean;
}

/** The caller disposes the journal and the lock, in this order. */
export async function openJob(options: OpenJobOptions): Promise<OpenJob> {
  const { paths, outputBytes, force } = options;
  const wasThere = await exists(paths.work);
  if (!wasThere) {
    await checkOutputFree(paths, force);
    checkDiskRoom(paths.parent, await diskRoom(paths, outputBytes));
  }
  const lock = await openWork(paths);
  try {
    return await openLocked(lock, options);
  } catch (error) {
    if (wasThere) await lock[Symbol.asyncDispose]();
    else await removeWork(paths, lock);
    throw error;
  }
}

async function openLocked(lock: Lock, options: OpenJobOptions): Promise<OpenJob> {
  const { paths, identity, outputBytes, force } = options;
  await settleSwap(paths);
  const journal = await openJournal(paths.journal);
  try {
    const history = readHistory(journal.recovered);
    if (history.begin === null) {
      await journal[Symbol.asyncDispose]();
      return await beginJob(lock, options);
    }
    requireSameFormat(paths, history.begin);
    requireSameJob(paths.output, history.begin, identity);
    if (await isPublished(paths, history)) return { kind: "published", lock, journal, history };
    await checkOutputFree(paths, force);
    checkDiskRoom(paths.parent, await diskRoom(paths, outputBytes));
    return { kind: "interrupted", lock, journal, history };
  } catch (error) {
    await journal[Symbol.asyncDispose]();
    throw error;
  }
}

async function beginJob(lock: Lock, options: OpenJobOptions): Promise<OpenJob> {
  const { paths, identity, outputBytes, force } = options;
  await checkOutputFree(paths, force);
  checkDiskRoom(paths.parent, await diskRoom(paths, outputBytes));
  await resetWork(paths);
  const journal = await openJournal(paths.journal);
  await journal.append({ kind: "begin", format: JOURNAL_FORMAT, ...identity });
  return { kind: "new", lock, journal, history: readHistory([]) };
}

function requireSameFormat(paths: WorkPaths, { format }: BeginRecord): void {
  if (format === JOURNAL_FORMAT) return;
  const changed = `the version of this program (journal format ${format} to ${JOURNAL_FORMAT})`;
  throw new GraftError("RESUME_MISMATCH", { path: paths.output, changed });
}

/** The partial checkpoint leaves by the publishing rename; a crash right after it skips the record. */
async function isPublished(paths: WorkPaths, { begin, isPublished }: JobHistory): Promise<boolean> {
  if (isPublished) return true;
  if ((await exists(paths.partial)) || !(await exists(paths.output))) return false;
  try {
    const text = await readFile(join(paths.output, MANIFEST_NAME), "utf8");
    return parseManifest(text).planDigest === begin?.planDigest;
  } catch {
    // Whatever is there, it is not what this job published.
    return false;
  }
}

/** The beginning of the interrupted job at an output; NO_PARTIAL_WORK when there is none. */
export async function readInterrupted(paths: WorkPaths): Promise<BeginRecord> {
  if (await exists(paths.journal)) {
    const { begin } = readHistory(await readJournal(paths.journal));
    if (begin !== null) {
      requireSameFormat(paths, begin);
      return begin;
    }
  }
  throw new GraftError("NO_PARTIAL_WORK", { path: paths.output, work: paths.work });
}
