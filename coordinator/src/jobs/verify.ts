// Re-checks a published checkpoint against its manifest: every digest of every weight file by a worker,
// every other file by its sha256, and that nothing is missing or was added. All differences at once.
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { GraftError, quoted } from "@graft/proto";
import { MANIFEST_NAME, type ManifestFile, type ManifestSideFile } from "../plan/manifest.js";
import { parseManifest } from "../plan/manifest-reader.js";
import type { Workers } from "../rpc/workers.js";
import { errorCode, fileError } from "./durable-file.js";
import { checkSeal } from "./manifest-seal.js";
import { mapBounded } from "./map-bounded.js";
import { toRequest } from "./output-files.js";

export interface VerifyOptions {
  readonly directory: string;
  readonly worker: Workers;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: VerifyProgress) => void;
}

export interface VerifyProgress {
  readonly readBytes: number;
  readonly totalBytes: number;
}

export interface VerifyReport {
  readonly directory: string;
  readonly planDigest: string;
  readonly fileCount: number;
  readonly tensorCount: number;
  readonly checkedBytes: number;
  /** Finished sentences that name file and tensor; empty when everything is as published. */
  readonly differences: readonly string[];
}

const FILES_AT_ONCE_MAX = 8;

export async function verifyOutput(options: VerifyOptions): Promise<VerifyReport> {
  const directory = resolve(options.directory);
  const path = join(directory, MANIFEST_NAME);
  const text = await readManifest(path, directory);
  const differences: string[] = [];
  try {
    checkSeal(text, path);
  } catch (error) {
    differences.push(GraftError.from(error).message);
  }
  const manifest = parseManifest(text, path);
  const { files, sideFiles } = manifest;
  const expected = new Set([MANIFEST_NAME, ...[...files, ...sideFiles].map(({ name }) => name)]);
  differences.push(...(await findStrangers(directory, expected)));
  const totalBytes = files.reduce((total, { size }) => total + size, 0);
  let readBytes = 0;
  const onRead = (bytes: number): void => {
    readBytes += bytes;
    options.onProgress({ readBytes, totalBytes });
  };
  for (const file of sideFiles) differences.push(...(await checkSideFile(directory, file)));
  const { threadCount } = await options.worker.use((client) => client.getWorker(options));
  const filesAtOnce = Math.min(Math.max(1, threadCount), FILES_AT_ONCE_MAX);
  const found = await mapBounded(files, filesAtOnce, (file) =>
    checkWeights(directory, file, options, onRead),
  );
  differences.push(...found.flat());
  return {
    directory,
    planDigest: manifest.planDigest,
    fileCount: files.length + sideFiles.length,
    tensorCount: files.reduce((count, { tensors }) => count + tensors.length, 0),
    checkedBytes: totalBytes,
    differences,
  };
}

async function readManifest(path: string, directory: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const code = errorCode(error);
    if (code === "ENOENT" || code === "ENOTDIR") {
      throw new GraftError("OUTPUT_NOT_GRAFT", { path: directory });
    }
    throw fileError(path, "read", error);
  }
}

const WEIGHTS = /\.(safetensors|bin|pt|pth|gguf)$/i;

/** Weights that a loader might pick up although nobody merged them. */
async function findStrangers(
  directory: string,
  expected: ReadonlySet<string>,
): Promise<readonly string[]> {
  const names = await readdir(directory);
  return names
    .filter((name) => WEIGHTS.test(name) && !expected.has(name))
    .map((name) => `${join(directory, name)}: a weight file that the manifest does not list`);
}

async function checkSideFile(
  directory: string,
  { name, size, sha256 }: ManifestSideFile,
): Promise<readonly string[]> {
  const path = join(directory, name);
  try {
    const status = await stat(path);
    if (status.size !== size) return [difference(path, "size", size, status.size)];
    const hash = createHash("sha256");
    for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
    const actual = hash.digest("hex");
    return actual === sha256 ? [] : [difference(path, "sha256", sha256, actual)];
  } catch (error) {
    if (errorCode(error) === "ENOENT") return [`${path}: missing`];
    throw fileError(path, "read", error);
  }
}

async function checkWeights(
  directory: string,
  file: ManifestFile,
  { worker, signal }: VerifyOptions,
  onRead: (bytes: number) => void,
): Promise<readonly string[]> {
  const path = join(directory, file.name);
  const size = await sizeOf(path);
  if (size === null) return [`${path}: missing`];
  const spans = file.tensors.flatMap(({ name, offset, spans: ofTensor }) =>
    ofTensor.map((span) => ({ name, span, request: toRequest(name, offset, span) })),
  );
  let seen = 0;
  const onProgress = (readBytes: number): void => {
    onRead(Math.max(0, readBytes - seen));
    seen = Math.max(seen, readBytes);
  };
  const request = {
    directory,
    name: file.name,
    sha256: file.sha256 !== null,
    spans: spans.map((span) => span.request),
  };
  const found = await worker.use((client) => client.digestFile(request, { signal, onProgress }));
  onProgress(file.size);
  const differences: string[] = [];
  if (size !== file.size) differences.push(difference(path, "size", file.size, size));
  for (const [index, { name, span }] of spans.entries()) {
    const actual = found.spans[index]?.digest ?? "nothing";
    if (actual === span.digest) continue;
    differences.push(difference(path, `tensor ${quoted(name)}`, span.digest, actual));
  }
  // Bytes outside every tensor are the header.
  if (differences.length === 0 && file.sha256 !== null && found.sha256 !== file.sha256) {
    differences.push(difference(path, "sha256 (the header differs)", file.sha256, found.sha256));
  }
  return differences;
}

async function sizeOf(path: string): Promise<number | null> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return null;
    throw fileError(path, "stat", error);
  }
}

function difference(
  path: string,
  what: string,
  expected: string | number,
  actual: string | number,
): string {
  return new GraftError("VERIFY_MISMATCH", { path, what, expected, actual }).message;
}
