// What a cached file is called: a digest of what tells its bytes from all others. Header and size do
// not: two finetunes of one model have the same header, size and file name, and different weights.
import { createHash } from "node:crypto";
import type { WeightFile } from "@graft/proto";

const NAME_LENGTH_MAX = 100;
const KEY = /^([0-9a-f]{32})-(.+)$/;

/** "KEY-NAME": the name is for people only. */
export function cacheFileName(file: WeightFile): string {
  const name = file.name.replace(/[^A-Za-z0-9._-]/g, "_").slice(0, NAME_LENGTH_MAX);
  return `${cacheKey(file)}-${name}`;
}

/** 32 hex digits: of the whole file's digest where it is known, else of its pin on its own disk. */
export function cacheKey(file: WeightFile): string {
  const { path, sizeBytes, modifiedTimeNs, inode, headerDigest } = file;
  const contentDigest = file.source?.contentDigest ?? "";
  const identity =
    contentDigest === ""
      ? ["pin", path, sizeBytes, modifiedTimeNs, inode, headerDigest]
      : ["content", contentDigest, sizeBytes];
  const text = JSON.stringify(identity.map(String));
  return createHash("sha256").update(text).digest("hex").slice(0, 32);
}

export interface CacheFileName {
  readonly key: string;
  readonly name: string;
}

/** undefined for files that the cache did not make. */
export function parseCacheFileName(text: string): CacheFileName | undefined {
  const match = KEY.exec(text);
  if (match?.[1] === undefined || match[2] === undefined) return undefined;
  return { key: match[1], name: match[2] };
}
