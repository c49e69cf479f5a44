// Command line of the model maker: one base model and its fine-tunes, for the quick start, for
// benchmarks and for trying things.
//   node test/dist/support/make-models.js --out DIR [--preset sample|wide] [--layers N] …
import { join } from "node:path";
import { parseArgs } from "node:util";
import {
  type FineTune,
  type ModelShape,
  makeModel,
  SAMPLE_SHAPE,
  type WeightDtype,
} from "./models.js";

/** Layers as wide as those of 7B models: 436 MB each in bf16, 2.3 GB in all. */
const WIDE_SHAPE: ModelShape = {
  layers: 4,
  hidden: 4096,
  intermediate: 14336,
  heads: 32,
  keyValueHeads: 8,
  vocabulary: 32000,
  tied: false,
};

const PRESETS: Readonly<Record<string, { shape: ModelShape; shardSizeBytesMax: number }>> = {
  sample: { shape: SAMPLE_SHAPE, shardSizeBytesMax: 5e6 },
  wide: { shape: WIDE_SHAPE, shardSizeBytesMax: 1e9 },
};

const DTYPES: Readonly<Record<string, WeightDtype>> = {
  float32: "F32",
  float16: "F16",
  bfloat16: "BF16",
};

const { values } = parseArgs({
  options: {
    out: { type: "string" },
    preset: { type: "string", default: "sample" },
    layers: { type: "string" },
    hidden: { type: "string" },
    intermediate: { type: "string" },
    heads: { type: "string" },
    "kv-heads": { type: "string" },
    vocabulary: { type: "string" },
    tied: { type: "boolean", default: false },
    dtype: { type: "string", default: "bfloat16" },
    seed: { type: "string", default: "1" },
    noise: { type: "string", default: "0.004" },
    share: { type: "string", default: "1" },
    "fine-tunes": { type: "string", default: "1" },
    "shard-size": { type: "string" },
  },
});

function fail(message: string): never {
  console.error(message);
  process.exit(2);
}

function number(flag: keyof typeof values, fallback: number): number {
  const text = values[flag];
  const value = text === undefined ? fallback : Number(text);
  return Number.isFinite(value) && value >= 0
    ? value
    : fail(`--${flag}: expected a number, got ${text}`);
}

const out = values.out ?? fail("--out DIR is missing");
const preset = PRESETS[values.preset] ?? fail(`--preset ${values.preset}: expected sample or wide`);
const dtype =
  DTYPES[values.dtype] ??
  fail(`--dtype ${values.dtype}: expected ${Object.keys(DTYPES).join(", ")}`);
const shape: ModelShape = {
  layers: number("layers", preset.shape.layers),
  hidden: number("hidden", preset.shape.hidden),
  intermediate: number("intermediate", preset.shape.intermediate),
  heads: number("heads", preset.shape.heads),
  keyValueHeads: number("kv-heads", preset.shape.keyValueHeads),
  vocabulary: number("vocabulary", preset.shape.vocabulary),
  tied: values.tied,
};
const seed = number("seed", 1);
const fineTunes = number("fine-tunes", 1);
const fineTuneOf: FineTune = {
  baseSeed: seed,
  noise: number("noise", 0.004),
  share: number("share", 1),
};
const common = { shape, dtype, shardSizeBytesMax: number("shard-size", preset.shardSizeBytesMax) };

console.log(makeModel({ ...common, directory: join(out, "base"), seed }));
for (let i = 1; i <= fineTunes; i += 1) {
  const name = fineTunes === 1 ? "tuned" : `tuned-${String(i).padStart(2, "0")}`;
  console.log(
    makeModel({ ...common, directory: join(out, name), seed: seed + i * 1000, fineTuneOf }),
  );
}
