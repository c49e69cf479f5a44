// Output files: a request names a directory and a plain base name, never a path, so that no message
// can make a worker write elsewhere. A side file appears whole or not at all.
import { createHash, randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import { type CopySideFileResponse, GraftError, quoted } from "@graft/proto";
import { openModelDirectory, requireFile } from "../models/model-directory.js";

const COPY_BLOCK_BYTES = 1024 * 1024;
const NAME_BYTES_MAX = 255;

/** The absolute path of `name` in `directory`; FLAG for anything that is not a plain file name. */
export function joinPlain(directory: string, name: string): string {
  checkDirectory(directory);
  const reserved = name === "" || name === "." || name === "..";
  // biome-ignore lint/suspicious/noControlCharactersInRegex: refusing them is the point
  if (reserved || /[/\\\u0000-\u001f]/.test(name) || Buffer.byteLength(name) > NAME_BYTES_MAX) {
    const problem = `expected a plain file name, got ${quoted(name)}`;
    throw new GraftError("FLAG", { flag: "name", problem });
  }
  return join(directory, name);
}

/** FLAG for a directory that would depend on where this process was started. */
export function checkDirectory(directory: string): void {
  if (isAbsolute(directory) && !directory.includes("\0")) return;
  const problem = `expected an absolute path, got ${quoted(directory)}`;
  throw new GraftError("FLAG", { flag: "directory", problem });
}

export interface CopySideFileOptions {
  readonly sourceDirectory: string;
  readonly name: string;
  readonly outputDirectory: string;
  readonly signal: AbortSignal;
}

/** Copies byte for byte, fsyncs, then renames into place; the directory's own fsync is the caller's. */
export async function copySideFile(options: CopySideFileOptions): Promise<CopySideFileResponse> {
  const { sourceDirectory, name, outputDirectory, signal } = options;
  const target = joinPlain(outputDirectory, name);
  const sourcePath = joinPlain(sourceDirectory, name);
  const found = await requireFile(await openModelDirectory(sourceDirectory), name);
  if (found === null) {
    throw new GraftError("INPUT_CHANGED", { path: sourcePath, what: "it is gone" });
  }
  const temporary = join(outputDirectory, `.${randomUUID()}.copy`);
  const source = await open(found.path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const copy = await open(temporary, "wx", 0o644);
    try {
      const result = await copyBytes(source, copy, signal);
      await copy.sync();
      await rename(temporary, target);
      return result;
    } catch (error) {
      await rm(temporary, { force: true });
      throw withPath(error, target);
    } finally {
      await copy.close();
    }
  } finally {
    await source.close();
  }
}

/** Calls on an open handle fail without saying of which file. */
function withPath(error: unknown, path: string): unknown {
  const named = error instanceof Error && "syscall" in error && !("path" in error);
  return named ? Object.assign(error, { path }) : error;
}

async function copyBytes(
  source: FileHandle,
  target: FileHandle,
  signal: AbortSignal,
): Promise<CopySideFileResponse> {
  const hash = createHash("sha256");
  const block = Buffer.allocUnsafe(COPY_BLOCK_BYTES);
  let sizeBytes = 0;
  while (true) {
    signal.throwIfAborted();
    const { bytesRead } = await source.read(block, 0, block.length, sizeBytes);
    if (bytesRead === 0) break;
    const piece = block.subarray(0, bytesRead);
    hash.update(piece);
    await writeAll(target, piece);
    sizeBytes += bytesRead;
  }
  return { sizeBytes: BigInt(sizeBytes), sha256: hash.digest("hex") };
}

async function writeAll(target: FileHandle, bytes: Buffer): Promise<void> {
  let written = 0;
  while (written < bytes.length) {
    written += (await target.write(bytes, written)).bytesWritten;
  }
}
