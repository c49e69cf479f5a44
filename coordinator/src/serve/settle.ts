// What a coordinator finds beside an output when a job was cut off at its very end: published but not
// said so, or cancelled with work left. Everything here may be repeated.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { readJournal } from "../jobs/journal.js";
import { readHistory } from "../jobs/resume.js";
import { countLedger, type MergeSummary } from "../jobs/summary.js";
import { exists, openWork, removeWork, settleSwap, type WorkPaths } from "../jobs/work.js";
import { MANIFEST_NAME } from "../plan/manifest.js";
import { parseManifest } from "../plan/manifest-reader.js";
import type { LedgerEntry } from "../plan/types.js";
import type { LogEntry } from "./event-log.js";

/** The renaming took place, even if the job died before it could tell. */
export async function wasPublished(paths: WorkPaths, told: readonly LogEntry[]): Promise<boolean> {
  if (told.some(({ event }) => event.kind === "published")) return true;
  const planDigest = plannedDigest(told);
  if (planDigest === null || (await workDigest(paths)) !== planDigest) return false;
  return !(await exists(paths.partial)) && (await outputDigest(paths)) === planDigest;
}

function lastPlanned(told: readonly LogEntry[]) {
  const planned = told.map(({ event }) => event).filter((event) => event.kind === "planned");
  return planned.at(-1) ?? null;
}

function plannedDigest(told: readonly LogEntry[]): string | null {
  return lastPlanned(told)?.planDigest ?? null;
}

/** The plan that the work beside the output belongs to; null when there is none. */
async function workDigest(paths: WorkPaths): Promise<string | null> {
  if (!(await exists(paths.journal))) return null;
  return readHistory(await readJournal(paths.journal)).begin?.planDigest ?? null;
}

async function outputDigest(paths: WorkPaths): Promise<string | null> {
  return (await readOutput(paths))?.planDigest ?? null;
}

/** Null when nothing is there, or nothing of ours. */
async function readOutput(paths: WorkPaths) {
  try {
    const text = await readFile(join(paths.output, MANIFEST_NAME), "utf8");
    const { ledger }: { readonly ledger: readonly LedgerEntry[] } = JSON.parse(text);
    return { ...parseManifest(text), ledger };
  } catch {
    // Whatever is there, it is not what a job published.
    return null;
  }
}

/** Removes the work of a job beside its output; work of another plan is not the job's to remove. */
export async function dropWork(paths: WorkPaths, told: readonly LogEntry[]): Promise<void> {
  const planDigest = plannedDigest(told);
  if (planDigest === null || !(await exists(paths.work))) return;
  const found = await workDigest(paths);
  if (found !== null && found !== planDigest) return;
  const lock = await openWork(paths);
  // An output that a --force swap had moved aside goes back first.
  await settleSwap(paths);
  await removeWork(paths, lock);
}

/**
 * What can be said of a merge whose own summary was lost with the process that made it: the manifest
 * and the log know everything but what was measured.
 */
export async function recoverSummary(
  paths: WorkPaths,
  told: readonly LogEntry[],
): Promise<MergeSummary> {
  const planned = lastPlanned(told);
  // Somebody may have moved the output away since.
  const { files, ledger } = (await readOutput(paths)) ?? { files: [], ledger: [] };
  const tensors = files.flatMap((file) => file.tensors);
  const taskCount = planned?.taskCount ?? 0;
  const elapsedMs = Date.parse(told.at(-1)?.time ?? "") - Date.parse(told[0]?.time ?? "");
  return {
    output: paths.output,
    planDigest: planned?.planDigest ?? "",
    outputBytes: files.reduce((total, { size }) => total + size, 0),
    parameterCount: tensors.reduce(
      (total, { shape }) => total + shape.reduce((product, size) => product * size, 1),
      0,
    ),
    tensorCount: tensors.length,
    fileCount: files.length,
    ...{ taskCount, skippedTaskCount: taskCount },
    ...{ readBytes: 0, writtenBytes: 0, pageCacheBytes: 0, mergeBytesPerSecond: 0 },
    workerMemoryBytes: 0,
    seconds: Number.isFinite(elapsedMs) ? elapsedMs / 1000 : 0,
    stages: [],
    storage: null,
    diskSpeedFraction: null,
    nonFinite: [],
    ledger: countLedger(ledger),
    notes: [],
  };
}
