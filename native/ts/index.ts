// The native package's public face: exported names are listed, so that the surface is one page.
export {
  type CreateEngineOptions,
  createEngine,
  type Engine,
  type RunTaskOptions,
} from "./engine.js";
export { NativeError } from "./errors.js";
export {
  availableIsas,
  type DigestFileOptions,
  digestFile,
  dtypeTable,
  kernelVersion,
  measureStorage,
  prepareFile,
  readHeader,
  readRange,
  syncFile,
} from "./files.js";
export { BUILT_ADDON_PATH } from "./load.js";
export type {
  DigestSpan,
  EngineCounters,
  FileDigest,
  NativeDestination,
  NativeFile,
  NativeHeader,
  NativeInput,
  NativeOperation,
  NativeTask,
  NativeTaskResult,
  NativeTensor,
  NonFinite,
  RangePiece,
  StorageRates,
} from "./native.js";
export { ANY_TIME, digestRange, freeRange, writeRange } from "./sparse.js";
