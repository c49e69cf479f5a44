// The folder beside the output in which a merge works: DIR.graft/ holds the lock, the journal, the
// partial checkpoint and, for the moment of a --force swap, the output that is being replaced.
import { mkdir, rm, rmdir, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { GraftError } from "@graft/proto/errors";
import { errorCode, fileError, renameDurably, syncDirectory } from "./durable-file.js";
import { acquireLock, type Lock } from "./lock.js";

export interface WorkPaths {
  /** Where the checkpoint appears. */
  readonly output: string;
  readonly parent: string;
  readonly work: string;
  readonly journal: string;
  /** The partial checkpoint; its rename to `output` publishes. */
  readonly partial: string;
  /** The replaced output, between the two renames of --force and until the work is removed. */
  readonly replaced: string;
}

export function workPaths(outputDirectory: string): WorkPaths {
  const output = resolve(outputDirectory);
  const work = join(dirname(output), `${basename(output)}.graft`);
  return {
    output,
    parent: dirname(output),
    work,
    journal: join(work, "journal"),
    partial: join(work, "out"),
    replaced: join(work, "old"),
  };
}

/** Creates the work folder where it is missing, durably, and takes its lock. */
export async function openWork(paths: WorkPaths): Promise<Lock> {
  try {
    await mkdir(paths.work, { recursive: true });
    await syncDirectory(paths.parent);
  } catch (error) {
    throw fileError(paths.work, "create", error);
  }
  return acquireLock(paths.work, paths.output);
}

/** Begins with an empty partial checkpoint and no journal. */
export async function resetWork(paths: WorkPaths): Promise<void> {
  try {
    await rm(paths.journal, { force: true });
    await rm(paths.partial, { recursive: true, force: true });
    await mkdir(paths.partial);
    await syncDirectory(paths.work);
  } catch (error) {
    throw fileError(paths.partial, "create", error);
  }
}

/**
 * Puts the replaced output back when a --force swap stopped between its two renames; removes it when
 * the swap went through.
 */
export async function settleSwap(paths: WorkPaths): Promise<void> {
  if (!(await exists(paths.replaced))) return;
  if (!(await exists(paths.output))) return renameDurably(paths.replaced, paths.output);
  if (!(await exists(paths.partial))) {
    return rm(paths.replaced, { recursive: true, force: true });
  }
  // Neither case: somebody made a new output in between, and only they know which one they want.
  const problem = `${paths.output} exists too; remove one of the two`;
  throw new GraftError("IO", { path: paths.replaced, operation: "restore", problem });
}

/** Removes what a merge puts there, then the lock, then the folder unless it holds something else. */
export async function removeWork(paths: WorkPaths, lock: Lock): Promise<void> {
  try {
    for (const path of [paths.partial, paths.replaced, paths.journal]) {
      await rm(path, { recursive: true, force: true });
    }
    await lock[Symbol.asyncDispose]();
    // Not empty: a file of the user's, or somebody has taken the lock meanwhile.
    await rmdir(paths.work).catch((error: unknown) => {
      if (errorCode(error) !== "ENOTEMPTY" && errorCode(error) !== "ENOENT") throw error;
    });
  } catch (error) {
    throw fileError(paths.work, "remove", error);
  }
}

export async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (errorCode(error) === "ENOENT" || errorCode(error) === "ENOTDIR") return false;
    throw fileError(path, "stat", error);
  }
}
