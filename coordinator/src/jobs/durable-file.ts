// Small files that must survive a power cut: content first, then the name, then the directory.
import { open, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { GraftError } from "@graft/proto/errors";

/** Makes the names in a directory durable. */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Creates or replaces a file with fsynced content. The name is durable after syncDirectory only. */
export async function writeDurably(path: string, content: string | Uint8Array): Promise<void> {
  const handle = await open(path, "w");
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** One atomic rename, durable when it returns: both directories are fsynced. */
export async function renameDurably(from: string, to: string): Promise<void> {
  await rename(from, to);
  const directories = new Set([dirname(to), dirname(from)]);
  for (const directory of directories) await syncDirectory(directory);
}

/** Names what a failed system call was about. */
export function fileError(path: string, operation: string, error: unknown): GraftError {
  if (error instanceof GraftError) return error;
  const code = errorCode(error);
  const options = { cause: error };
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new GraftError(
      "DISK_FULL",
      { path, output: path.replace(/\.graft(\/.*)?$/, "") },
      options,
    );
  }
  if (code === "EACCES" || code === "EPERM" || code === "EROFS") {
    return new GraftError("PERMISSION", { path, operation }, options);
  }
  const problem = code ?? (error instanceof Error ? error.message : String(error));
  return new GraftError("IO", { path, operation, problem }, options);
}

/** The errno name of a failed system call, or null. */
export function errorCode(error: unknown): string | null {
  const code = error instanceof Error && "code" in error ? error.code : null;
  return typeof code === "string" ? code : null;
}
