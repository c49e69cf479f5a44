// Raw declarations of the addon's exports, in the order of native/src/addon/addon.cc. Every field is
// present; null, never undefined, crosses the line; byte offsets and lengths are bigint. Failures
// reject with an Error whose `code` is a code of proto/src/errors.ts and whose `details` holds the
// template values (see errors.ts).

export type EngineHandle = { readonly type: "engine" };
export type AbortHandle = { readonly type: "abort" };

export interface EngineOptions {
  /** Threads that compute; I/O threads come on top and sleep in system calls. */
  readonly threadCount: number;
  /** Bound on the engine's own buffers, bytes. */
  readonly bufferBytesMax: bigint;
  /** "scalar", "avx2", "avx512", "neon", or null for the best this CPU runs. */
  readonly isa: string | null;
  /** Bytes of output per work unit, a multiple of 1 MiB, or null for the default. */
  readonly tileBytes: bigint | null;
  /** false never opens with O_DIRECT. */
  readonly directIo: boolean;
}

export interface NativeFile {
  readonly path: string;
  /** The pin: the task fails with INPUT_CHANGED when the file is no longer this one. */
  readonly sizeBytes: bigint;
  /** Or ANY_TIME. */
  readonly modifiedTimeNs: bigint;
  readonly inode: bigint;
}

export interface NativeInput {
  readonly file: number;
  readonly offsetBytes: bigint;
  /** graft.v1.Dtype number. */
  readonly dtype: number;
  readonly weight: number;
  readonly density: number;
  readonly modelIndex: number;
  /** For messages. */
  readonly model: string;
  readonly tensor: string;
}

export interface NativeDestination {
  readonly file: number;
  readonly offsetBytes: bigint;
}

export interface NativeOperation {
  /** graft.v1.Kernel number. */
  readonly kernel: number;
  readonly outputDtype: number;
  readonly tensorElementCount: bigint;
  readonly elementStart: bigint;
  readonly elementCount: bigint;
  readonly inputs: readonly NativeInput[];
  readonly destinations: readonly NativeDestination[];
  /** SLERP; 0 otherwise. */
  readonly t: number;
  /** TASK_VECTOR; graft.v1.Pruning number, 0 otherwise. */
  readonly pruning: number;
  readonly electSign: boolean;
  readonly normalize: boolean;
  readonly rescale: boolean;
  readonly lambda: number;
  readonly seed: bigint;
  readonly streamName: string;
}

export interface NativeTask {
  readonly inputs: readonly NativeFile[];
  /** Absolute paths of prepared output files. */
  readonly outputs: readonly string[];
  readonly operations: readonly NativeOperation[];
}

export interface NonFinite {
  readonly operation: number;
  /** Index into the operation's inputs; -1 for its result, when finite inputs overflow the dtype. */
  readonly input: number;
  readonly count: bigint;
  readonly firstIndex: bigint;
}

export interface NativeTaskResult {
  /** One per operation: 32 hex digits over the bytes written for it. */
  readonly outputDigests: readonly string[];
  /** Per operation, one per input: digest of the bytes read. */
  readonly inputDigests: readonly (readonly string[])[];
  readonly nonFinite: readonly NonFinite[];
  readonly cpuSeconds: number;
}

export interface EngineCounters {
  readonly readBytes: bigint;
  readonly writtenBytes: bigint;
  /** Part of readBytes that came from the page cache. */
  readonly pageCacheBytes: bigint;
  readonly bufferBytes: bigint;
}

export interface NativeTensor {
  readonly name: string;
  readonly dtype: number;
  readonly shape: readonly bigint[];
  /** Absolute offset in the file. */
  readonly offsetBytes: bigint;
  readonly lengthBytes: bigint;
}

export interface NativeHeader {
  readonly sizeBytes: bigint;
  readonly modifiedTimeNs: bigint;
  readonly inode: bigint;
  /** XXH3-128 of the length field and the header, 32 hex digits. */
  readonly headerDigest: string;
  readonly tensors: readonly NativeTensor[];
}

export interface DigestSpan {
  readonly offsetBytes: bigint;
  readonly lengthBytes: bigint;
}

export interface FileDigest {
  readonly sizeBytes: bigint;
  /** 64 hex digits, or null when not asked for. */
  readonly sha256: string | null;
  /** One per span, in order. */
  readonly spanDigests: readonly string[];
}

export interface StorageRates {
  readonly readBytesPerSecond: number;
  readonly writeBytesPerSecond: number;
}

export interface RangePiece {
  readonly data: Buffer;
  /** XXH3-128 of data, 32 hex digits. */
  readonly digest: string;
}

export interface NativeAddon {
  kernelVersion(): string;
  /** [code, safetensors name, size in bytes, kind] rows of dtype.h, for the conformance test. */
  dtypeTable(): readonly (readonly [number, string, number, string])[];
  /** Instruction sets this CPU and this build have, best last. */
  availableIsas(): readonly string[];
  abortCreate(): AbortHandle;
  abortTrigger(handle: AbortHandle): void;
  engineCreate(options: EngineOptions): EngineHandle;
  engineIsa(handle: EngineHandle): string;
  engineRunTask(
    handle: EngineHandle,
    task: NativeTask,
    abort: AbortHandle,
  ): Promise<NativeTaskResult>;
  engineCounters(handle: EngineHandle): EngineCounters;
  /** Idempotent; waits for running tasks. */
  engineClose(handle: EngineHandle): Promise<void>;
  headerRead(path: string): Promise<NativeHeader>;
  /** Creates or resizes the file, reserves its blocks and writes the header; keeps data bytes. */
  filePrepare(path: string, sizeBytes: bigint, header: Uint8Array): Promise<void>;
  fileSync(path: string): Promise<void>;
  /** progress is called with bytes read so far, at most ten times a second. */
  fileDigest(
    path: string,
    spans: readonly DigestSpan[],
    sha256: boolean,
    abort: AbortHandle,
    progress: (readBytes: bigint) => void,
  ): Promise<FileDigest>;
  fileReadRange(file: NativeFile, offsetBytes: bigint, lengthBytes: number): Promise<RangePiece>;
  storageMeasure(directory: string, sizeBytes: bigint): Promise<StorageRates>;
  /** false, with nothing written, when the bytes have another digest. */
  rangeWrite(path: string, offsetBytes: bigint, data: Uint8Array, digest: string): Promise<boolean>;
  /** null when the file ends before the range. */
  rangeDigest(path: string, offsetBytes: bigint, lengthBytes: number): Promise<string | null>;
  /** false where the file system cannot free parts of files. */
  rangeFree(path: string, offsetBytes: bigint, lengthBytes: number): Promise<boolean>;
}
