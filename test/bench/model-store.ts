// Models for the benchmark, made once and used again: a directory per shape, and in each model a file
// with what it was made from, written last, so that an unfinished model is never taken for a whole one.
import { existsSync, mkdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type ModelOptions, type ModelShape, makeModel, tensorLayouts } from "../support/models.js";
import { dtypeSizeBytes, elementCount } from "../support/safetensors.js";
import { fineTuneNames, type ModelSet } from "./cases.js";
import { InputError } from "./options.js";

/** Widest first. The first has the layers of 7B models; the others are for trying the benchmark. */
const WIDTHS: readonly Omit<ModelShape, "layers" | "tied">[] = [
  { hidden: 4096, intermediate: 11008, heads: 32, keyValueHeads: 8, vocabulary: 32000 },
  { hidden: 1024, intermediate: 2752, heads: 8, keyValueHeads: 2, vocabulary: 8000 },
  { hidden: 256, intermediate: 688, heads: 8, keyValueHeads: 2, vocabulary: 2000 },
];
const SHARD_SIZE_BYTES_MAX = 2e9;
const BASE_SEED = 1;
const OTHER_SEED = 900;
/**
 * Of a fine-tune's deltas, where weights have 0.02: a few units in the last place of bfloat16, so that
 * as in real fine-tunes many magnitudes are equal and some are zero.
 */
const NOISE = 0.0005;
const RECORD = "made-from.json";

function modelBytes(shape: ModelShape): number {
  return tensorLayouts(shape, "BF16").reduce(
    (sum, layout) => sum + elementCount(layout.shape) * dtypeSizeBytes(layout.dtype),
    0,
  );
}

/**
 * The shape whose size comes nearest from below: the widest that still has minLayers layers. A model
 * too small for an untied head of its width has a tied one.
 */
export function shapeOfSize(sizeBytes: number, minLayers: number): ModelShape {
  for (const width of WIDTHS) {
    for (const tied of [false, true]) {
      const fixedBytes = modelBytes({ ...width, tied, layers: 0 });
      const layerBytes = modelBytes({ ...width, tied, layers: 1 }) - fixedBytes;
      const layers = Math.floor((sizeBytes - fixedBytes) / layerBytes);
      if (layers >= minLayers) return { ...width, tied, layers };
    }
  }
  throw new InputError(
    `${sizeBytes} bytes: too small for a model of ${minLayers} layers; choose a larger --size`,
  );
}

export function shapeName(shape: ModelShape): string {
  const { hidden, intermediate, layers, vocabulary, tied } = shape;
  return `h${hidden}-i${intermediate}-v${vocabulary}-l${layers}${tied ? "-tied" : ""}`;
}

interface Wanted {
  readonly directory: string;
  readonly options: ModelOptions;
}

function wantedModels(directory: string, { shape, fineTunes, other }: ModelSet): readonly Wanted[] {
  const wanted = (name: string, seed: number, isFineTune: boolean): Wanted => {
    const model = join(directory, shapeName(shape), name);
    const fineTuneOf = { baseSeed: BASE_SEED, noise: NOISE, share: 1 };
    const options: ModelOptions = {
      directory: model,
      shape,
      dtype: "BF16",
      seed,
      shardSizeBytesMax: SHARD_SIZE_BYTES_MAX,
      ...(isFineTune ? { fineTuneOf } : {}),
    };
    return { directory: model, options };
  };
  return [
    wanted("base", BASE_SEED, false),
    ...(other ? [wanted("other", OTHER_SEED, false)] : []),
    ...fineTuneNames(fineTunes).map((name, i) => wanted(name, BASE_SEED + 1 + i, true)),
  ];
}

function record({ options: { directory: _, ...madeFrom } }: Wanted): string {
  return `${JSON.stringify(madeFrom)}\n`;
}

function isThere(wanted: Wanted): boolean {
  const path = join(wanted.directory, RECORD);
  return existsSync(path) && readFileSync(path, "utf8") === record(wanted);
}

export interface ModelStoreOptions {
  readonly directory: string;
  readonly sets: readonly ModelSet[];
  /** What merging will need beside the models. */
  readonly spareBytes: number;
  readonly say: (line: string) => void;
}

/** Makes what is missing; refuses up front when the disk cannot hold it. */
export function makeModels({ directory, sets, spareBytes, say }: ModelStoreOptions): void {
  const all = sets.flatMap((set) => wantedModels(directory, set));
  const missing = [...new Map(all.map((one) => [one.directory, one])).values()].filter(
    (one) => !isThere(one),
  );
  const size = missing.reduce((sum, { options }) => sum + modelBytes(options.shape), 0);
  mkdirSync(directory, { recursive: true });
  const { bavail, bsize } = statfsSync(directory);
  if (size + spareBytes > bavail * bsize) {
    const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`;
    throw new InputError(
      `${directory}: ${gigabytes(bavail * bsize)} free, ${gigabytes(size + spareBytes)} needed; ` +
        "choose another --dir or a smaller --size",
    );
  }
  for (const one of missing) {
    say(`making ${one.directory}`);
    rmSync(one.directory, { recursive: true, force: true });
    makeModel(one.options);
    writeFileSync(join(one.directory, RECORD), record(one));
  }
}
