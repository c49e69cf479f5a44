// Makes models in genuine Hugging Face layout, from kilobytes to many gigabytes: tensors are filled
// from one reused random block, each starting at its own place in it, so writing runs at disk speed.
// A fine-tune starts where its base starts, so that the difference of the two is the noise alone.
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { createRandom, hashText, normals } from "./random.js";
import type { TensorLayout } from "./safetensors.js";
import { dtypeSizeBytes, elementCount, encode, encodeHeader } from "./safetensors.js";
import { type ModelShape, sideFiles, type WeightDtype } from "./side-files.js";

export type { ModelShape, WeightDtype } from "./side-files.js";

export interface FineTune {
  /** Seed of the base model. */
  readonly baseSeed: number;
  /** Standard deviation of what is added; weights themselves have 0.02. */
  readonly noise: number;
  /** Share of the elements that differ from the base. */
  readonly share: number;
}

export interface ModelOptions {
  readonly directory: string;
  readonly shape: ModelShape;
  readonly dtype: WeightDtype;
  readonly seed: number;
  /** Above it the weights are split into shards with an index. */
  readonly shardSizeBytesMax: number;
  readonly fineTuneOf?: FineTune;
}

/** About 14 MB in bf16: enough for shards and layers, small enough for a first try. */
export const SAMPLE_SHAPE: ModelShape = {
  layers: 8,
  hidden: 256,
  intermediate: 688,
  heads: 8,
  keyValueHeads: 4,
  vocabulary: 2048,
  tied: false,
};

const WEIGHT_DEVIATION = 0.02;
/** Odd, so that the period never falls in step with rows or tiles. */
const BLOCK_ELEMENTS_MAX = 2 ** 20 + 7;

/** Tensor names and shapes of a Llama model, in model order. */
export function tensorLayouts(shape: ModelShape, dtype: WeightDtype): readonly TensorLayout[] {
  const { hidden, intermediate, vocabulary } = shape;
  const keyValue = (hidden / shape.heads) * shape.keyValueHeads;
  const perLayer: readonly (readonly [string, readonly number[]])[] = [
    ["input_layernorm", [hidden]],
    ["mlp.down_proj", [hidden, intermediate]],
    ["mlp.gate_proj", [intermediate, hidden]],
    ["mlp.up_proj", [intermediate, hidden]],
    ["post_attention_layernorm", [hidden]],
    ["self_attn.k_proj", [keyValue, hidden]],
    ["self_attn.o_proj", [hidden, hidden]],
    ["self_attn.q_proj", [hidden, hidden]],
    ["self_attn.v_proj", [keyValue, hidden]],
  ];
  const layers = Array.from({ length: shape.layers }, (_, layer) =>
    perLayer.map(([name, size]) => [`model.layers.${layer}.${name}.weight`, size] as const),
  );
  const all: readonly (readonly [string, readonly number[]])[] = [
    ["model.embed_tokens.weight", [vocabulary, hidden]],
    ...layers.flat(),
    ["model.norm.weight", [hidden]],
    ...(shape.tied ? [] : [["lm_head.weight", [vocabulary, hidden]] as const]),
  ];
  return all.map(([name, size]) => ({ name, dtype, shape: size }));
}

function sizeBytes(layout: TensorLayout): number {
  return elementCount(layout.shape) * dtypeSizeBytes(layout.dtype);
}

/** Fills shards in order; a tensor over the limit has a shard of its own. */
function splitIntoShards(
  layouts: readonly TensorLayout[],
  limitBytes: number,
): readonly (readonly TensorLayout[])[] {
  const shards: TensorLayout[][] = [[]];
  let filledBytes = 0;
  for (const layout of layouts) {
    const size = sizeBytes(layout);
    if (filledBytes > 0 && filledBytes + size > limitBytes) {
      shards.push([]);
      filledBytes = 0;
    }
    shards.at(-1)?.push(layout);
    filledBytes += size;
  }
  return shards;
}

interface Blocks {
  readonly matrix: Uint8Array;
  /** Around one, as norms are. */
  readonly norm: Uint8Array;
}

function makeBlocks(options: ModelOptions, elements: number): Blocks {
  const { fineTuneOf, seed, dtype } = options;
  const values = normals(elements, fineTuneOf?.baseSeed ?? seed).map((x) => x * WEIGHT_DEVIATION);
  if (fineTuneOf !== undefined) {
    const noise = normals(elements, seed);
    const random = createRandom(seed + 1);
    for (let i = 0; i < elements; i += 1) {
      if (random() < fineTuneOf.share)
        values[i] = (values[i] ?? 0) + fineTuneOf.noise * (noise[i] ?? 0);
    }
  }
  return {
    matrix: encode(values, dtype),
    norm: encode(
      values.map((x) => 1 + x),
      dtype,
    ),
  };
}

function writeFully(file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done);
}

/** Writes lengthBytes of the block, from startBytes on and around its end as often as needed. */
function writeTiled(
  file: number,
  block: Uint8Array,
  startBytes: number,
  lengthBytes: number,
): void {
  let at = startBytes;
  for (let rest = lengthBytes; rest > 0; ) {
    const piece = block.subarray(at, Math.min(block.length, at + rest));
    writeFully(file, piece);
    rest -= piece.length;
    at = 0;
  }
}

function writeShard(
  path: string,
  layouts: readonly TensorLayout[],
  blocks: Blocks,
  seed: number,
): void {
  const file = openSync(path, "w");
  try {
    writeFully(file, encodeHeader(layouts));
    for (const layout of layouts) {
      const block = layout.shape.length === 1 ? blocks.norm : blocks.matrix;
      const elementBytes = dtypeSizeBytes(layout.dtype);
      const start = hashText(`${seed}:${layout.name}`) % (block.length / elementBytes);
      writeTiled(file, block, start * elementBytes, sizeBytes(layout));
    }
  } finally {
    closeSync(file);
  }
}

function writeIndex(
  directory: string,
  shards: readonly (readonly TensorLayout[])[],
  names: readonly string[],
): void {
  const total = shards.flat().reduce((sum, layout) => sum + sizeBytes(layout), 0);
  const map = shards.flatMap((shard, i) => shard.map(({ name }) => [name, names[i]] as const));
  const index = { metadata: { total_size: total }, weight_map: Object.fromEntries(map) };
  const path = join(directory, "model.safetensors.index.json");
  writeFileSync(path, `${JSON.stringify(index, null, 2)}\n`);
}

/** Writes a whole model; the directory must not hold another one. Returns the directory. */
export function makeModel(options: ModelOptions): string {
  const { directory, shape, dtype } = options;
  const layouts = tensorLayouts(shape, dtype);
  const largest = Math.max(...layouts.map((layout) => elementCount(layout.shape)));
  const blocks = makeBlocks(options, Math.min(BLOCK_ELEMENTS_MAX, largest));
  const shards = splitIntoShards(layouts, options.shardSizeBytesMax);
  const count = String(shards.length).padStart(5, "0");
  const names = shards.map((_, i) =>
    shards.length === 1
      ? "model.safetensors"
      : `model-${String(i + 1).padStart(5, "0")}-of-${count}.safetensors`,
  );
  mkdirSync(directory, { recursive: true });
  for (const [name, text] of sideFiles(shape, dtype)) writeFileSync(join(directory, name), text);
  const contentSeed = options.fineTuneOf?.baseSeed ?? options.seed;
  for (const [i, shard] of shards.entries()) {
    writeShard(join(directory, names[i] ?? ""), shard, blocks, contentSeed);
  }
  if (shards.length > 1) writeIndex(directory, shards, names);
  return directory;
}
