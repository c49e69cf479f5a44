// The cache's directory: which cached files it has, what of it is rubbish, whether its file system can
// give parts of files back.
import { mkdir, readdir, rm, stat, statfs, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { freeRange } from "@graft/native";
import { LOG_SUFFIX } from "./cached-file.js";
import { parseCacheFileName } from "./identity.js";

const PROBE_NAME = "probe";
const PROBE_BYTES = 64 * 1024;

/** For this user only: weights may be under licence or not public. */
export async function createCacheDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
}

/** What a cache may take when nobody says: never so much that it fills somebody's disk by itself. */
export async function shareOfFileSystem(directory: string): Promise<number> {
  const { blocks, bsize } = await statfs(directory);
  return Math.floor((blocks * bsize) / 5);
}

/** Names of the cached files that have a log, the least recently used first. */
export async function listCacheFiles(directory: string): Promise<readonly string[]> {
  const names = new Set(await readdir(directory));
  const found = await Promise.all(
    [...names]
      .filter((name) => parseCacheFileName(name) !== undefined && names.has(name + LOG_SUFFIX))
      .map(async (name) => {
        const { mtimeMs } = await stat(join(directory, name + LOG_SUFFIX));
        return { name, mtimeMs };
      }),
  );
  return found.sort((a, b) => a.mtimeMs - b.mtimeMs).map(({ name }) => name);
}

/** Removes what a crash left: bytes without a log, logs without bytes, logs half rewritten. */
export async function removeRubbish(directory: string): Promise<void> {
  const names = new Set(await readdir(directory));
  for (const name of names) {
    const base = name.replace(/\.pieces(\.new)?$/, "");
    if (parseCacheFileName(base) === undefined) continue;
    const whole = names.has(base) && names.has(base + LOG_SUFFIX);
    if (whole && !name.endsWith(".new")) continue;
    await rm(join(directory, name), { force: true });
  }
}

/** Tries it. Where it fails, evicting parts of a file would free nothing. */
export async function canFreeRanges(directory: string): Promise<boolean> {
  const path = join(directory, PROBE_NAME);
  try {
    await writeFile(path, Buffer.alloc(PROBE_BYTES, 1));
    return await freeRange(path, 0n, PROBE_BYTES);
  } finally {
    await rm(path, { force: true });
  }
}
