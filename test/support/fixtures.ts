// Models and recipes that several suites share.
import { join } from "node:path";
import { type FineTune, type ModelShape, makeModel, type WeightDtype } from "./models.js";

/** About 700 kB in bf16, in two shards: for everything that is not about size. */
export const SMALL_SHAPE: ModelShape = {
  layers: 4,
  hidden: 64,
  intermediate: 160,
  heads: 4,
  keyValueHeads: 2,
  vocabulary: 512,
  tied: false,
};

/** Tensors of three million elements, none of whose sizes is a multiple of anything useful. */
export const ODD_SHAPE: ModelShape = {
  layers: 1,
  hidden: 1001,
  intermediate: 3001,
  heads: 7,
  keyValueHeads: 1,
  vocabulary: 3001,
  tied: false,
};

export const BASE_SEED = 11;

export interface FamilyOptions {
  readonly directory: string;
  readonly shape: ModelShape;
  readonly dtype: WeightDtype;
  readonly fineTunes: number;
  readonly shardSizeBytesMax: number;
}

export function fineTuneName(index: number): string {
  return `tuned-${String(index).padStart(2, "0")}`;
}

/** DIR/base and DIR/tuned-01 … tuned-N; returns the fine-tunes' names. */
export function makeFamily(options: FamilyOptions): readonly string[] {
  const { directory, fineTunes, ...common } = options;
  const fineTuneOf: FineTune = { baseSeed: BASE_SEED, noise: 0.004, share: 0.8 };
  makeModel({ ...common, directory: join(directory, "base"), seed: BASE_SEED });
  return Array.from({ length: fineTunes }, (_, i) => {
    const name = fineTuneName(i + 1);
    const seed = BASE_SEED + (i + 1) * 101;
    makeModel({ ...common, directory: join(directory, name), seed, fineTuneOf });
    return name;
  });
}

/** The small family in `directory`, with one fine-tune. */
export function makeSmallModels(directory: string): void {
  const shardSizeBytesMax = 400_000;
  makeFamily({ directory, shape: SMALL_SHAPE, dtype: "BF16", fineTunes: 1, shardSizeBytesMax });
}

const list = (names: readonly string[], parameters: (name: string) => string): string =>
  names.map((name) => `  - model: ${name}\n${parameters(name)}`).join("");

const settings = (text: string): string => `    parameters: { ${text} }\n`;

/** Recipe texts over models named base, tuned-01 …, relative to the recipe. */
export const RECIPES = {
  slerp: (names: readonly string[]): string =>
    `merge_method: slerp\nbase_model: base\nmodels:\n${list(["base", names[0] ?? ""], () => "")}` +
    "parameters:\n  t:\n    - filter: mlp\n      value: [0.2, 0.7]\n    - value: 0.4\n" +
    "dtype: bfloat16\n",
  linear: (names: readonly string[]): string =>
    `merge_method: linear\nmodels:\n${list(["base", ...names], () => settings("weight: 0.37"))}` +
    "dtype: bfloat16\n",
  passthrough: (names: readonly string[]): string =>
    `merge_method: passthrough\nmodels:\n${list(names.slice(0, 1), () => "")}dtype: bfloat16\n`,
  ties: (names: readonly string[]): string =>
    "merge_method: ties\nbase_model: base\nmodels:\n" +
    list(names, () => settings("weight: 0.3, density: 0.4")) +
    "dtype: bfloat16\n",
  dare_ties: (names: readonly string[]): string =>
    "merge_method: dare_ties\nbase_model: base\nmodels:\n" +
    list(names, () => settings("weight: 0.3, density: 0.53")) +
    "dtype: bfloat16\n",
} as const;

export type RecipeName = keyof typeof RECIPES;
