// Opens files of a model directory, which may be hostile: nothing blocks on a pipe or device, nothing
// is read beyond a cap, and a link may lead only to where a model's own files live: the directory or,
// in a Hugging Face cache, the same repository (snapshots link to blobs there).
import { isUtf8 } from "node:buffer";
import { constants } from "node:fs";
import { lstat, open, realpath } from "node:fs/promises";
import { join, sep } from "node:path";
import { GraftError, quoted } from "@graft/proto";

export interface ModelDirectory {
  /** As resolved, for paths and messages. */
  readonly path: string;
  /** Real paths that a link may lead into. */
  readonly roots: readonly string[];
}

/** What a name in a model directory is, after links. */
export type FoundFile =
  | { readonly kind: "file"; readonly path: string; readonly sizeBytes: number }
  | { readonly kind: "absent" }
  /** A directory, pipe, device or socket. */
  | { readonly kind: "other"; readonly what: string }
  | { readonly kind: "outside"; readonly target: string };

const CACHE_SNAPSHOT = /^(.*\/(?:models|datasets|spaces)--[^/]+)\/snapshots\/[^/]+(?:\/.*)?$/;
const LFS_PREFIX = "version https://git-lfs.github.com/spec/";

export async function openModelDirectory(path: string): Promise<ModelDirectory> {
  const real = await realpath(path);
  const repository = CACHE_SNAPSHOT.exec(real)?.[1];
  const cache = ["blobs", "snapshots"].map((name) => `${repository}${sep}${name}`);
  return { path, roots: repository === undefined ? [real] : [real, ...cache] };
}

/** Looks at one name; `name` must be a plain base name. */
export async function findFile(directory: ModelDirectory, name: string): Promise<FoundFile> {
  const path = join(directory.path, name);
  try {
    const target = await realpath(path);
    const inside = directory.roots.some((root) => target.startsWith(root + sep));
    if (!inside) return { kind: "outside", target };
    const stats = await lstat(target);
    if (stats.isFile()) return { kind: "file", path, sizeBytes: stats.size };
    return { kind: "other", what: stats.isDirectory() ? "a directory" : "not a regular file" };
  } catch (error) {
    if (isAbsence(error)) return { kind: "absent" };
    throw error;
  }
}

/** The path of a regular file, null when absent; NOT_A_FILE and SHARD_LINK otherwise. */
export async function requireFile(
  directory: ModelDirectory,
  name: string,
): Promise<{ readonly path: string; readonly sizeBytes: number } | null> {
  const found = await findFile(directory, name);
  const path = join(directory.path, name);
  switch (found.kind) {
    case "file":
      return found;
    case "absent":
      return null;
    case "other":
      throw new GraftError("NOT_A_FILE", { path });
    case "outside":
      throw new GraftError("SHARD_LINK", { path, target: quoted(found.target).slice(1, -1) });
  }
}

export interface TextLimits {
  readonly sizeBytesMax: number;
  /** Code of the error for a file that is too large or not UTF-8. */
  readonly code: "MODEL_CONFIG" | "MODEL_INDEX";
}

/** Bytes of a small text file, checked to be UTF-8; null when absent. */
export async function readText(
  directory: ModelDirectory,
  name: string,
  { sizeBytesMax, code }: TextLimits,
): Promise<Buffer | null> {
  const file = await requireFile(directory, name);
  if (file === null) return null;
  const { path } = file;
  // O_NONBLOCK: a pipe put there since the look above must not hang the open.
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) throw new GraftError("NOT_A_FILE", { path });
    if (stats.size > sizeBytesMax) {
      throw new GraftError(code, { path, problem: `${stats.size} bytes, over ${sizeBytesMax}` });
    }
    const bytes = await handle.readFile();
    if (bytes.subarray(0, LFS_PREFIX.length).toString("latin1") === LFS_PREFIX) {
      throw new GraftError("LFS_POINTER", { path });
    }
    if (!isUtf8(bytes)) throw new GraftError(code, { path, problem: "not valid UTF-8" });
    return bytes;
  } finally {
    await handle.close();
  }
}

/** Parses JSON that must be an object; the reason of a failure is one escaped line. */
export function parseObject(
  text: string,
  path: string,
  code: TextLimits["code"],
): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const problem = `not valid JSON: ${quoted(reason).slice(1, -1)}`;
    throw new GraftError(code, { path, problem }, { cause: error });
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Readonly<Record<string, unknown>>;
  }
  throw new GraftError(code, { path, problem: "expected a JSON object" });
}

function isAbsence(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === "ENOENT" || code === "ENOTDIR" || code === "ELOOP";
}
