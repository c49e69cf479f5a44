// What can be refused before a byte is written: a wrong place for the output, too little disk.
import { constants } from "node:fs";
import { access, readdir, realpath, stat, statfs } from "node:fs/promises";
import { basename, dirname, join, sep } from "node:path";
import { GraftError } from "@graft/proto";
import { errorCode, fileError } from "./durable-file.js";
import { formatSize } from "./format-size.js";
import { exists, type WorkPaths } from "./work.js";

/** Room for the journal, index, card, manifest and what the file system needs for itself. */
export const DISK_RESERVE_BYTES = 32 * 1024 * 1024;

export interface InputDirectory {
  readonly label: string;
  readonly directory: string;
}

/** Refuses a parent that cannot be written and an output that would destroy an input. */
export async function checkOutputPlace(
  paths: WorkPaths,
  inputs: readonly InputDirectory[],
): Promise<void> {
  await checkParent(paths);
  const output = await resolveLinks(paths.output);
  const work = await resolveLinks(paths.work);
  for (const { label, directory } of inputs) {
    const input = await resolveLinks(directory);
    // An input inside the output would be lost when the output is replaced.
    if (!isWithin(output, input) && !isWithin(work, input) && !isWithin(input, output)) continue;
    throw new GraftError("OUTPUT_INSIDE_INPUT", { path: paths.output, model: label });
  }
}

/** What is there is replaced only when that was asked for. */
export async function checkOutputFree({ output }: WorkPaths, force: boolean): Promise<void> {
  if (!force && (await exists(output))) throw new GraftError("OUTPUT_EXISTS", { path: output });
}

async function checkParent({ parent }: WorkPaths): Promise<void> {
  const operation = "create the output";
  const status = await stat(parent).catch((error: unknown) => {
    if (errorCode(error) !== "ENOENT") throw fileError(parent, operation, error);
    const problem = "no such directory; create it first";
    throw new GraftError("IO", { path: parent, operation, problem });
  });
  if (!status.isDirectory()) {
    throw new GraftError("IO", { path: parent, operation, problem: "not a directory" });
  }
  await access(parent, constants.W_OK | constants.X_OK).catch((error: unknown) => {
    throw fileError(parent, operation, error);
  });
}

/** The real path of the longest existing part, with the rest appended. */
async function resolveLinks(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw fileError(path, "resolve", error);
    return join(await resolveLinks(dirname(path)), basename(path));
  }
}

function isWithin(path: string, directory: string): boolean {
  return (
    path === directory || path.startsWith(directory.endsWith(sep) ? directory : directory + sep)
  );
}

export interface DiskRoom {
  readonly neededBytes: number;
  readonly freeBytes: number;
}

/** Space still to be allocated for the output against what its file system has free. */
export async function diskRoom(
  paths: Pick<WorkPaths, "parent" | "partial">,
  outputBytes: number,
): Promise<DiskRoom> {
  const allocated = await allocatedBytes(paths.partial);
  const { bavail, bsize } = await statfs(paths.parent).catch((error: unknown) => {
    throw fileError(paths.parent, "statfs", error);
  });
  return {
    neededBytes: Math.max(0, outputBytes - allocated) + DISK_RESERVE_BYTES,
    freeBytes: bavail * bsize,
  };
}

/** Throws DISK_SPACE when the output does not fit. */
export function checkDiskRoom(path: string, { neededBytes, freeBytes }: DiskRoom): void {
  if (neededBytes <= freeBytes) return;
  throw new GraftError("DISK_SPACE", {
    path,
    needed: formatSize(neededBytes),
    free: formatSize(freeBytes),
    missing: formatSize(neededBytes - freeBytes),
  });
}

const BLOCK_BYTES = 512;

async function allocatedBytes(directory: string): Promise<number> {
  let names: readonly string[];
  try {
    names = await readdir(directory);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return 0;
    throw fileError(directory, "list", error);
  }
  let total = 0;
  for (const name of names) total += (await stat(join(directory, name))).blocks * BLOCK_BYTES;
  return total;
}
