// The worker's own copy of what other disks have: pieces of weight files, found by what the file is,
// bounded in size, shared by all jobs, kept over restarts. What it hands out has been checked.
import assert from "node:assert/strict";
import type { NativeFile } from "@graft/native";
import type { WeightFile } from "@graft/proto";
import { createAdmission, type Demand, tooSmall } from "./admission.js";
import {
  canFreeRanges,
  createCacheDirectory,
  listCacheFiles,
  removeRubbish,
  shareOfFileSystem,
} from "./cache-directory.js";
import { acquireCacheLock } from "./cache-lock.js";
import { fill, type PullFile } from "./fill.js";
import { cacheFileName } from "./identity.js";
import { mergeRanges, type Range } from "./ranges.js";
import { createShelf, type Shelf } from "./shelf.js";

export interface ShardCacheOptions {
  readonly directory: string;
  /** null takes a fifth of the file system. */
  readonly bytesMax: number | null;
  /** Milliseconds since the epoch; orders eviction across restarts and nothing else. */
  readonly wallClockMs?: (() => number) | undefined;
}

export interface Need {
  readonly file: WeightFile;
  readonly ranges: readonly Range[];
}

export interface Lease {
  /** One per need, in order: to be opened in place of the originals. */
  readonly files: readonly NativeFile[];
  /** Idempotent. Until then no byte of the lease is evicted. */
  release(): void;
}

export interface LeaseOptions {
  readonly pull: PullFile;
  readonly signal: AbortSignal;
}

/** Totals since the cache was opened. */
export interface CacheCounters {
  /** Bytes that came from peers, wrong ones included. */
  readonly wireBytes: number;
  readonly cacheHitBytes: number;
  readonly evictedBytes: number;
  /** Pieces whose bytes did not have their digest, on arrival or on disk. */
  readonly wrongPieceCount: number;
}

export interface ShardCache extends AsyncDisposable {
  readonly usedBytes: number;
  /** What of the ranges would have to be pulled. */
  missing(need: Need): readonly Range[];
  /**
   * Resolves when every byte of the needs is here and was checked in this process. Waits for room
   * while other leases hold it. CACHE_TOO_SMALL, or what `pull` rejects with.
   */
  lease(needs: readonly Need[], options: LeaseOptions): Promise<Lease>;
  /** Throws CACHE_TOO_SMALL when so many bytes can never be here at once. */
  requireRoom(bytes: number): void;
  counters(): CacheCounters;
}

/** Creates the directory where it is missing. CACHE_IN_USE when another process has it. */
export async function openShardCache(options: ShardCacheOptions): Promise<ShardCache> {
  const { directory } = options;
  await createCacheDirectory(directory);
  const bytesMax = options.bytesMax ?? (await shareOfFileSystem(directory));
  const lock = await acquireCacheLock(directory);
  try {
    await removeRubbish(directory);
    const byPiece = await canFreeRanges(directory);
    const shelf = createShelf({ directory, bytesMax, byPiece });
    for (const name of await listCacheFiles(directory))
      shelf.files.giveBack(await shelf.files.take(name));
    const excess = shelf.usedBytes - bytesMax;
    if (excess > 0) shelf.makeRoom(excess, new Set());
    return createCache(shelf, lock, { ...options, bytesMax });
  } catch (error) {
    await lock[Symbol.asyncDispose]();
    throw error;
  }
}

function createCache(
  shelf: Shelf,
  lock: AsyncDisposable,
  { directory, bytesMax, wallClockMs = Date.now }: ShardCacheOptions & { bytesMax: number },
): ShardCache {
  const admission = createAdmission({ shelf, bytesMax, directory });
  const counters = { wireBytes: 0, cacheHitBytes: 0, wrongPieceCount: 0 };
  const onWire = (byteCount: number): void => {
    counters.wireBytes += byteCount;
  };
  const onWrong = (): void => {
    counters.wrongPieceCount += 1;
  };
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    await shelf[Symbol.asyncDispose]();
    await lock[Symbol.asyncDispose]();
  };

  return {
    get usedBytes() {
      return shelf.usedBytes;
    },
    missing: ({ file, ranges }) => {
      const cached = shelf.files.find(cacheFileName(file));
      return cached === undefined ? mergeRanges(ranges) : cached.index.gaps(ranges);
    },
    lease: async (needs, options) => {
      const undo: (() => void)[] = [];
      const release = (): void => {
        for (let step = undo.pop(); step !== undefined; step = undo.pop()) step();
      };
      try {
        const opened: Opened[] = [];
        for (const { file, ranges } of mergeNeeds(needs)) {
          const cached = await shelf.files.take(cacheFileName(file));
          undo.push(() => shelf.files.giveBack(cached));
          await cached.prepare(Number(file.sizeBytes));
          cached.touch(wallClockMs());
          opened.push({ weights: file, file: cached, ranges });
        }
        const { pieces, hitBytes, release: drop } = await admission.admit(opened, options.signal);
        undo.push(drop);
        counters.cacheHitBytes += hitBytes;
        const wanted = opened.map((item, at) => ({ ...item, pieces: pieces[at] ?? [] }));
        await fill(wanted, { ...options, onWire, onWrong });
        return { files: needs.map((need) => nativeOf(need, opened)), release };
      } catch (error) {
        release();
        throw error;
      }
    },
    requireRoom: (bytes) => {
      if (bytes > bytesMax) throw tooSmall(directory, bytesMax, bytes);
    },
    counters: () => ({ ...counters, evictedBytes: shelf.evictedBytes }),
    [Symbol.asyncDispose]: () => {
      closing ??= close();
      return closing;
    },
  };
}

interface Opened extends Demand {
  readonly weights: WeightFile;
}

function nativeOf({ file }: Need, opened: readonly Opened[]): NativeFile {
  const name = cacheFileName(file);
  const found = opened.find(({ weights }) => cacheFileName(weights) === name);
  assert(found !== undefined, "every need was opened");
  return found.file.native();
}

/** One per cached file, with the ranges of all needs that name it. */
function mergeNeeds(needs: readonly Need[]): readonly Need[] {
  const byName = new Map<string, Need>();
  for (const { file, ranges } of needs) {
    const name = cacheFileName(file);
    const known = byName.get(name)?.ranges ?? [];
    byName.set(name, { file, ranges: mergeRanges([...known, ...ranges]) });
  }
  return [...byName.values()];
}
