// What a model directory holds: config, side files, weight files with their pins, and every tensor.
// Costs the small files and the headers; no weight byte is read. The index is never believed: it must
// say the same as the headers.
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { NativeHeader } from "@graft/native";
import {
  type DescribeModelRequest,
  type DescribeModelResponse,
  GraftError,
  type TensorEntry,
  type WeightFile,
} from "@graft/proto";
import { mapBounded } from "../bounded.js";
import { checkIndex, type Shard } from "./check-index.js";
import { type ModelIndex, readIndex } from "./index-file.js";
import {
  type ModelDirectory,
  openModelDirectory,
  parseObject,
  readText,
  requireFile,
} from "./model-directory.js";
import { resolveReference } from "./reference.js";
import { listSideFiles } from "./side-files.js";

export interface DescribeDependencies {
  readonly readHeader: (path: string) => Promise<NativeHeader>;
}

const CONFIG_NAME = "config.json";
const SINGLE_NAME = "model.safetensors";
const PICKLE_NAME = /^pytorch_model.*\.bin$/;
const CONFIG_BYTES_MAX = 16 * 1024 * 1024;
const HEADERS_AT_ONCE = 8;
/** Keeps a message far below the cap on message size, with names of a few hundred bytes each. */
const TENSORS_PER_MESSAGE = 2000;

/** The description first, then the tensors in file order. */
export async function* describeModel(
  request: DescribeModelRequest,
  { readHeader }: DescribeDependencies,
): AsyncGenerator<DescribeModelResponse, void, undefined> {
  const path = await resolveReference(request.reference, request.searchDirectories);
  const directory = await openModelDirectory(path);
  const config = await readConfig(directory);
  const index = await readIndex(directory);
  const names = await findWeights(directory, index, config !== null);
  const shards = await mapBounded(names, HEADERS_AT_ONCE, async (name): Promise<Shard> => {
    const shardPath = join(path, name);
    return { name, path: shardPath, header: await readHeader(shardPath) };
  });
  if (index !== null) checkIndex(index, shards);
  const side = await listSideFiles(directory, new Set(names));
  const tensorCount = shards.reduce((count, { header }) => count + header.tensors.length, 0);
  yield {
    part: {
      $case: "model",
      value: {
        directory: path,
        configJson: config ?? Buffer.alloc(0),
        sideFiles: [...side.files],
        weightFiles: shards.map(toWeightFile),
        tensorCount: BigInt(tensorCount),
        notes: [...side.notes],
      },
    },
  };
  for (const tensors of batches(shards)) {
    yield { part: { $case: "tensors", value: { tensors } } };
  }
}

async function readConfig(directory: ModelDirectory): Promise<Buffer | null> {
  const limits = { sizeBytesMax: CONFIG_BYTES_MAX, code: "MODEL_CONFIG" } as const;
  const bytes = await readText(directory, CONFIG_NAME, limits);
  if (bytes === null) return null;
  parseObject(bytes.toString("utf8"), join(directory.path, CONFIG_NAME), "MODEL_CONFIG");
  return bytes;
}

/** Names of the weight files; every one of them exists as a regular file. */
async function findWeights(
  directory: ModelDirectory,
  index: ModelIndex | null,
  hasConfig: boolean,
): Promise<readonly string[]> {
  if (index !== null) return requireShards(directory, index);
  if ((await requireFile(directory, SINGLE_NAME)) !== null) return [SINGLE_NAME];
  const names = await readdir(directory.path);
  if (names.some((name) => PICKLE_NAME.test(name))) {
    throw new GraftError("MODEL_PICKLE", { path: directory.path });
  }
  const also = hasConfig ? "" : `, and no ${CONFIG_NAME}`;
  throw new GraftError("MODEL_NO_WEIGHTS", { path: directory.path, also });
}

async function requireShards(
  directory: ModelDirectory,
  { path, shards }: ModelIndex,
): Promise<readonly string[]> {
  const missing: string[] = [];
  for (const shard of shards) {
    if ((await requireFile(directory, shard)) === null) missing.push(shard);
  }
  const [first] = missing;
  if (first === undefined) return shards;
  throw new GraftError("MODEL_SHARD_MISSING", {
    path,
    shard: first,
    missing: missing.length,
    total: shards.length,
  });
}

function toWeightFile({ name, path, header }: Shard): WeightFile {
  return {
    path,
    name,
    sizeBytes: header.sizeBytes,
    headerDigest: header.headerDigest,
    modifiedTimeNs: header.modifiedTimeNs,
    inode: header.inode,
  };
}

function* batches(shards: readonly Shard[]): Generator<TensorEntry[]> {
  let batch: TensorEntry[] = [];
  for (const [fileIndex, { header }] of shards.entries()) {
    for (const tensor of header.tensors) {
      const { name, offsetBytes, lengthBytes } = tensor;
      const dtype = tensor.dtype as TensorEntry["dtype"];
      batch.push({ name, dtype, shape: [...tensor.shape], fileIndex, offsetBytes, lengthBytes });
      if (batch.length < TENSORS_PER_MESSAGE) continue;
      yield batch;
      batch = [];
    }
  }
  if (batch.length > 0) yield batch;
}
