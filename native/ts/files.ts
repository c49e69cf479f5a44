// What the addon does with single files: headers, preparing, syncing, digests, ranges, measuring.
// Everything runs on native threads and rejects with NativeError.
import { abortable } from "./abort.js";
import { translated, translatedSync } from "./errors.js";
import { nativeAddon } from "./load.js";
import type {
  DigestSpan,
  FileDigest,
  NativeFile,
  NativeHeader,
  RangePiece,
  StorageRates,
} from "./native.js";

/** Changes whenever output bytes could. */
export function kernelVersion(): string {
  return translatedSync(() => nativeAddon().kernelVersion());
}

/** Instruction sets this CPU and this build have, best last. */
export function availableIsas(): readonly string[] {
  return translatedSync(() => nativeAddon().availableIsas());
}

/** [code, safetensors name, size in bytes, kind] rows of the native dtype table. */
export function dtypeTable(): readonly (readonly [number, string, number, string])[] {
  return translatedSync(() => nativeAddon().dtypeTable());
}

/** Reads and checks a safetensors header; reads no weight byte. ST_*, NOT_A_FILE, LFS_POINTER, IO. */
export function readHeader(path: string): Promise<NativeHeader> {
  return translated(() => nativeAddon().headerRead(path));
}

/** Creates or resizes a file and writes its header; an empty header keeps what the file has. */
export function prepareFile(path: string, sizeBytes: bigint, header: Uint8Array): Promise<void> {
  return translated(() => nativeAddon().filePrepare(path, sizeBytes, header));
}

/** Makes a file durable. LOST_WRITE when the kernel reports one: the bytes must be written anew. */
export function syncFile(path: string): Promise<void> {
  return translated(() => nativeAddon().fileSync(path));
}

export interface DigestFileOptions {
  /** Also the sha256 of the whole file; false when absent. */
  readonly sha256?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called with the bytes read so far, at most ten times a second. */
  readonly onProgress?: ((readBytes: bigint) => void) | undefined;
}

/** Re-reads a file from storage. Reads the whole file when sha256 is asked for, else the spans. */
export async function digestFile(
  path: string,
  spans: readonly DigestSpan[],
  { sha256, signal, onProgress }: DigestFileOptions = {},
): Promise<FileDigest> {
  const addon = nativeAddon();
  const progress = onProgress ?? ((): void => undefined);
  return abortable(addon, signal, (abort) =>
    addon.fileDigest(path, spans, sha256 ?? false, abort, progress),
  );
}

/** One piece of a pinned file with its digest; INPUT_CHANGED when the file is no longer that one. */
export function readRange(
  file: NativeFile,
  offsetBytes: bigint,
  lengthBytes: number,
): Promise<RangePiece> {
  return translated(() => nativeAddon().fileReadRange(file, offsetBytes, lengthBytes));
}

/** Writes and reads back a scratch file of `sizeBytes` under `directory`, then removes it. */
export function measureStorage(directory: string, sizeBytes: bigint): Promise<StorageRates> {
  return translated(() => nativeAddon().storageMeasure(directory, sizeBytes));
}
