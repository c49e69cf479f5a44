// What people do to a cache by hand: look at it, check it, clear it. Changing it needs the lock, so it
// waits for no worker and takes nothing from under one.
import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { mapBounded } from "../bounded.js";
import { listCacheFiles } from "./cache-directory.js";
import { acquireCacheLock } from "./cache-lock.js";
import { LOG_SUFFIX, openCachedFile } from "./cached-file.js";
import { parseCacheFileName } from "./identity.js";
import { readPieceLog } from "./piece-log.js";
import { totalBytes } from "./ranges.js";

export interface CacheEntry {
  readonly fileName: string;
  readonly key: string;
  /** Of the weight file. */
  readonly name: string;
  /** Of the original. */
  readonly sizeBytes: number;
  readonly cachedBytes: number;
  readonly pieceCount: number;
  readonly lastUsedMs: number;
}

const CHECKS_AT_ONCE = 4;

/** The most recently used first. Changes nothing and needs no lock: a worker may be using it. */
export async function listCache(directory: string): Promise<readonly CacheEntry[]> {
  const fileNames = await listCacheFiles(directory);
  const entries = await mapBounded(fileNames.toReversed(), CHECKS_AT_ONCE, async (fileName) => {
    const path = join(directory, fileName);
    const { pieces } = await readPieceLog(path + LOG_SUFFIX);
    const { key = "", name = "" } = parseCacheFileName(fileName) ?? {};
    return {
      ...{ fileName, key, name },
      sizeBytes: (await stat(path)).size,
      cachedBytes: totalBytes(pieces),
      pieceCount: pieces.length,
      lastUsedMs: (await stat(path + LOG_SUFFIX)).mtimeMs,
    };
  });
  return entries;
}

/** Removes cached files whole. CACHE_IN_USE while a worker has the cache. */
export async function removeFromCache(
  directory: string,
  fileNames: readonly string[],
): Promise<void> {
  await using _lock = await acquireCacheLock(directory);
  for (const fileName of fileNames) {
    // The bytes first: a log without them is rubbish, the other way round too.
    await rm(join(directory, fileName), { force: true });
    await rm(join(directory, fileName + LOG_SUFFIX), { force: true });
  }
}

export interface CacheCheck {
  readonly fileName: string;
  readonly pieceCount: number;
  readonly checkedBytes: number;
  /** They were taken out and will be pulled anew. */
  readonly wrongPieceCount: number;
}

/** Digests every piece of every file. CACHE_IN_USE while a worker has the cache. */
export async function verifyCache(directory: string): Promise<readonly CacheCheck[]> {
  await using _lock = await acquireCacheLock(directory);
  const checks: CacheCheck[] = [];
  for (const fileName of await listCacheFiles(directory)) {
    await using file = await openCachedFile({ path: join(directory, fileName), nextUse: () => 0 });
    const pieces = file.index.all();
    const good = await mapBounded(pieces, CHECKS_AT_ONCE, (piece) => file.check(piece));
    const wrong = pieces.filter((_, at) => good[at] === false);
    if (wrong.length > 0) file.forget(wrong);
    checks.push({
      fileName,
      pieceCount: pieces.length,
      checkedBytes: totalBytes(pieces),
      wrongPieceCount: wrong.length + file.damagedLineCount,
    });
  }
  return checks;
}
