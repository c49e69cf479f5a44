// From a model reference, as the recipe writes it, to a directory. Only the file system is asked: a
// worker never guesses whether a name could be one of the hub.
import { stat } from "node:fs/promises";
import { isAbsolute, join, normalize, resolve } from "node:path";
import { GraftError, quoted } from "@graft/proto";

/**
 * The directory of a reference: itself when absolute, else the first match in `searchDirectories`.
 * MODEL_NOT_FOUND lists every absolute path that was tried, with what is there instead.
 */
export async function resolveReference(
  reference: string,
  searchDirectories: readonly string[],
): Promise<string> {
  const tried: string[] = [];
  for (const candidate of candidates(reference, searchDirectories)) {
    const obstacle = await whyNotDirectory(candidate);
    if (obstacle === undefined) return candidate;
    tried.push(`${escaped(candidate)}${obstacle}`);
  }
  throw new GraftError("MODEL_NOT_FOUND", {
    reference: quoted(reference).slice(1, -1),
    tried: tried.length === 0 ? "nothing: there is no search directory" : tried.join(", "),
  });
}

function candidates(reference: string, searchDirectories: readonly string[]): readonly string[] {
  if (reference === "" || reference.includes("\0")) return [];
  if (isAbsolute(reference)) return [normalize(reference)];
  const paths = searchDirectories.map((directory) => resolve(join(directory, reference)));
  return [...new Set(paths)];
}

/** Like quoted(), but never cut: the list is for finding out which directory was meant. */
function escaped(path: string): string {
  return JSON.stringify(path).slice(1, -1);
}

async function whyNotDirectory(path: string): Promise<string | undefined> {
  try {
    const stats = await stat(path);
    return stats.isDirectory() ? undefined : " (not a directory)";
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EACCES") return " (permission denied)";
    if (code === "ENOENT" || code === "ENOTDIR") return "";
    return ` (${code})`;
  }
}
