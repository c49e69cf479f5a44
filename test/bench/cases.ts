// What is measured: for each case the models it needs and the recipe, written as users write it. Two
// cases are passthrough, because copying a model and stacking its layers twice are different work.
import type { ModelShape } from "../support/models.js";

export const METHODS = ["passthrough", "linear", "slerp", "ties", "dare_ties"] as const;
export type Method = (typeof METHODS)[number];

/** A set of models of one shape: a base, fine-tunes of it, and a model unrelated to both. */
export interface ModelSet {
  readonly shape: ModelShape;
  readonly fineTunes: number;
  readonly other: boolean;
}

export interface BenchCase {
  /** Of the row in the table, and of the recipe file. */
  readonly name: string;
  readonly method: Method;
  readonly models: ModelSet;
  /** Directories of the models, in the order of the recipe. */
  readonly inputs: readonly string[];
  readonly recipe: string;
}

export interface CaseSizes {
  /** Of passthrough, linear and slerp. */
  readonly large: ModelShape;
  readonly ties: ModelShape;
  readonly dare: ModelShape;
}

export interface CaseOptions {
  readonly methods: readonly Method[];
  readonly shapes: CaseSizes;
  /** Path of one model, as the recipe names it. */
  readonly modelPath: (shape: ModelShape, model: string) => string;
}

const TIES_FINE_TUNES = 3;
const DARE_FINE_TUNES = 14;

export function fineTuneNames(count: number): readonly string[] {
  return Array.from({ length: count }, (_, i) => `tuned-${String(i + 1).padStart(2, "0")}`);
}

export function benchCases({ methods, shapes, modelPath }: CaseOptions): readonly BenchCase[] {
  const pair: ModelSet = { shape: shapes.large, fineTunes: 0, other: true };
  const of = (
    name: string,
    method: Method,
    models: ModelSet,
    names: readonly string[],
    recipe: (paths: readonly string[]) => string,
  ): BenchCase => {
    const inputs = names.map((model) => modelPath(models.shape, model));
    return { name, method, models, inputs, recipe: recipe(inputs) };
  };
  const family = (shape: ModelShape, fineTunes: number): ModelSet => ({
    shape,
    fineTunes,
    other: false,
  });
  const { layers } = shapes.large;
  const all = [
    of("passthrough, copy", "passthrough", pair, ["base"], (paths) => copyRecipe(paths, layers)),
    of("passthrough, stack", "passthrough", pair, ["base"], (paths) => stackRecipe(paths, layers)),
    of("linear of 2", "linear", pair, ["base", "other"], linearRecipe),
    of("slerp of 2", "slerp", pair, ["base", "other"], (paths) => slerpRecipe(paths, layers)),
    of(
      `ties of ${TIES_FINE_TUNES}`,
      "ties",
      family(shapes.ties, TIES_FINE_TUNES),
      ["base", ...fineTuneNames(TIES_FINE_TUNES)],
      tiesRecipe,
    ),
    of(
      `dare_ties of ${DARE_FINE_TUNES}`,
      "dare_ties",
      family(shapes.dare, DARE_FINE_TUNES),
      ["base", ...fineTuneNames(DARE_FINE_TUNES)],
      dareTiesRecipe,
    ),
  ];
  return all.filter(({ method }) => methods.includes(method));
}

function copyRecipe([model = ""]: readonly string[], layers: number): string {
  return `slices:
  - sources:
      - model: ${model}
        layer_range: [0, ${layers}]
merge_method: passthrough
dtype: bfloat16
`;
}

/** Three overlapping windows of half the layers each, as an 80-layer model becomes one of 120. */
function stackRecipe([model = ""]: readonly string[], layers: number): string {
  const half = Math.ceil(layers / 2);
  const middle = Math.floor((layers - half) / 2);
  const slice = (from: number): string => `  - sources:
      - model: ${model}
        layer_range: [${from}, ${from + half}]
`;
  return `slices:
${[0, middle, layers - half].map(slice).join("")}merge_method: passthrough
dtype: bfloat16
`;
}

function linearRecipe(models: readonly string[]): string {
  const entry = (model: string): string => `  - model: ${model}
    parameters:
      weight: 0.5
`;
  return `models:
${models.map(entry).join("")}merge_method: linear
dtype: bfloat16
`;
}

function slerpRecipe([base = "", other = ""]: readonly string[], layers: number): string {
  return `slices:
  - sources:
      - model: ${base}
        layer_range: [0, ${layers}]
      - model: ${other}
        layer_range: [0, ${layers}]
merge_method: slerp
base_model: ${base}
parameters:
  t:
    - filter: self_attn
      value: [0, 0.5, 0.3, 0.7, 1]
    - filter: mlp
      value: [1, 0.5, 0.7, 0.3, 0]
    - value: 0.5
dtype: bfloat16
`;
}

function tiesRecipe([base = "", ...models]: readonly string[]): string {
  const entry = (model: string): string => `  - model: ${model}
    parameters:
      density: 0.5
      weight: 0.5
`;
  return `models:
  - model: ${base}
${models.map(entry).join("")}merge_method: ties
base_model: ${base}
parameters:
  normalize: true
dtype: bfloat16
`;
}

function dareTiesRecipe([base = "", ...models]: readonly string[]): string {
  const weight = (1 / models.length).toFixed(4);
  const entry = (model: string): string => `  - model: ${model}
    parameters:
      density: 0.53
      weight: ${weight}
`;
  return `models:
  - model: ${base}
${models.map(entry).join("")}merge_method: dare_ties
base_model: ${base}
dtype: bfloat16
`;
}
