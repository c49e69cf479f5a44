// The weight files of the output while they are still partial: created, made durable, read back.
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type FileSpan, GraftError, type Task } from "@graft/proto";
import type { ManifestSpan } from "../plan/manifest.js";
import type { OutputFile, Plan } from "../plan/types.js";
import type { Workers } from "../rpc/workers.js";
import { fileError, syncDirectory } from "./durable-file.js";
import { mapBounded } from "./map-bounded.js";
import type { Results } from "./results.js";
import { outputSpans } from "./task-spans.js";

export interface OutputFilesOptions {
  readonly worker: Workers;
  readonly directory: string;
  readonly filesAtOnce: number;
  readonly signal: AbortSignal;
}

/** Creates every file at its size with its header, keeping data that is there; names are durable. */
export async function prepareFiles(
  files: readonly OutputFile[],
  { worker, directory, filesAtOnce, signal }: OutputFilesOptions,
): Promise<void> {
  await mapBounded(files, filesAtOnce, async ({ name, sizeBytes, header }) => {
    const request = {
      outputDirectory: directory,
      name,
      sizeBytes: BigInt(sizeBytes),
      header: Buffer.from(header),
    };
    await worker.use((client) => client.prepareFile(request, { signal }));
  });
  await syncDirectory(directory);
}

/**
 * Makes every file durable. Returns those of which the kernel lost a write: their pages count as clean
 * now, so asking again would lie. They must be written anew, see replaceFiles.
 */
export async function syncFiles(
  files: readonly OutputFile[],
  { worker, directory, filesAtOnce, signal }: OutputFilesOptions,
): Promise<readonly OutputFile[]> {
  const lost = await mapBounded(files, filesAtOnce, async (file) => {
    try {
      const request = { outputDirectory: directory, name: file.name };
      await worker.use((client) => client.syncFile(request, { signal }));
      return null;
    } catch (error) {
      if (error instanceof GraftError && error.code === "LOST_WRITE") return file;
      throw error;
    }
  });
  return lost.filter((file) => file !== null);
}

/** New inodes in place of the given files. */
export async function replaceFiles(
  files: readonly OutputFile[],
  options: OutputFilesOptions,
): Promise<void> {
  for (const { name } of files) {
    const path = join(options.directory, name);
    await rm(path, { force: true }).catch((error: unknown) => {
      throw fileError(path, "remove", error);
    });
  }
  await prepareFiles(files, options);
}

/** By tensor name, in file order. INTERNAL when a byte of the output is without a digest. */
export function digestedSpans(
  plan: Plan,
  results: Results,
): ReadonlyMap<string, readonly ManifestSpan[]> {
  const spans = new Map<string, ManifestSpan[]>();
  for (const task of plan.tasks) {
    const record = results.get(task.taskId);
    for (const [index, { tensor, offset, length }] of outputSpans(task).entries()) {
      const digest = record?.outputs[index];
      if (digest === undefined) continue;
      const known = spans.get(tensor);
      if (known === undefined) spans.set(tensor, [{ offset, length, digest }]);
      else known.push({ offset, length, digest });
    }
  }
  for (const { tensors } of plan.files) {
    for (const { name, lengthBytes } of tensors) {
      const ofTensor = spans.get(name)?.sort((a, b) => a.offset - b.offset) ?? [];
      requireCover(name, lengthBytes, ofTensor);
    }
  }
  return spans;
}

function requireCover(name: string, lengthBytes: number, spans: readonly ManifestSpan[]): void {
  let end = 0;
  for (const { offset, length } of spans) {
    if (offset !== end) break;
    end += length;
  }
  if (spans.length > 0 && end === lengthBytes) return;
  const problem = `output tensor ${name}: digests cover ${end} of ${lengthBytes} bytes`;
  throw new GraftError("INTERNAL", { problem });
}

export interface ReadBackOptions extends OutputFilesOptions {
  readonly spans: ReadonlyMap<string, readonly ManifestSpan[]>;
  readonly sha256: boolean;
  readonly onRead: (readBytes: number) => void;
}

/**
 * Reads one file from storage and compares every tensor; null without sha256. VERIFY_MISMATCH names the
 * file and the tensor.
 */
export async function readBack(
  file: OutputFile,
  { worker, directory, signal, spans, sha256, onRead }: ReadBackOptions,
): Promise<string | null> {
  const expected = file.tensors.flatMap(({ name, offsetBytes }) =>
    (spans.get(name) ?? []).map((span) => ({ name, offsetBytes, span })),
  );
  const request = {
    directory,
    name: file.name,
    sha256,
    spans: expected.map(({ name, offsetBytes, span }) => toRequest(name, offsetBytes, span)),
  };
  let seen = 0;
  const onProgress = (readBytes: number): void => {
    onRead(Math.max(0, readBytes - seen));
    seen = Math.max(seen, readBytes);
  };
  const found = await worker.use((client) => client.digestFile(request, { signal, onProgress }));
  onProgress(Number(found.sizeBytes));
  const mismatch = (what: string, wanted: string | number, actual: string | number): GraftError =>
    new GraftError("VERIFY_MISMATCH", {
      path: join(directory, file.name),
      what,
      expected: wanted,
      actual,
    });
  if (Number(found.sizeBytes) !== file.sizeBytes) {
    throw mismatch("size", file.sizeBytes, Number(found.sizeBytes));
  }
  for (const [index, { name, span }] of expected.entries()) {
    const actual = found.spans[index]?.digest ?? "nothing";
    if (actual !== span.digest)
      throw mismatch(`tensor ${JSON.stringify(name)}`, span.digest, actual);
  }
  return sha256 ? found.sha256 : null;
}

/** The wire form of a span to be digested. */
export function toRequest(tensor: string, tensorOffset: number, span: ManifestSpan): FileSpan {
  const { offset, length } = span;
  return {
    span: { tensor, offsetBytes: BigInt(offset), lengthBytes: BigInt(length), digest: "" },
    fileOffsetBytes: BigInt(tensorOffset + offset),
  };
}

/** Tasks that write into one of the files. */
export function tasksInto(plan: Plan, files: readonly OutputFile[]): readonly Task[] {
  const names = new Set(files.map(({ name }) => name));
  return plan.tasks.filter(({ outputs }) => outputs.some((name) => names.has(name)));
}
