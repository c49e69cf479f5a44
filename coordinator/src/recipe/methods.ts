// The method table: which parameters a method takes, their scope, kind and default, and how many
// models. One row per method; validator, planner and `coordinator methods` read nothing else.
import type { MethodName } from "./recipe.js";

export interface ParameterInfo {
  readonly name: string;
  /** "model": one value per input; "global": one value per output tensor. */
  readonly scope: "model" | "global";
  readonly kind: "number" | "boolean";
  /** null: required (a model parameter is never required of the base). */
  readonly defaultValue: number | null;
  /** Absent means "not given" rather than a number (passthrough's scale). */
  readonly optional?: boolean;
  readonly min?: number;
  readonly max?: number;
}

export interface MethodInfo {
  readonly name: MethodName;
  /** For the model card. */
  readonly title: string;
  readonly reference: string | null;
  readonly base: "required" | "input" | "forbidden";
  /** Inputs, base included when it is one. */
  readonly modelsMin: number;
  readonly modelsMax: number;
  readonly parameters: readonly ParameterInfo[];
}

const weight: ParameterInfo = {
  name: "weight",
  scope: "model",
  kind: "number",
  defaultValue: null,
};

const taskVectorParameters = (normalize: boolean, rescale: boolean): readonly ParameterInfo[] => [
  weight,
  { name: "density", scope: "model", kind: "number", defaultValue: 1, min: 0 },
  { name: "normalize", scope: "global", kind: "boolean", defaultValue: Number(normalize) },
  { name: "rescale", scope: "global", kind: "boolean", defaultValue: Number(rescale) },
  { name: "lambda", scope: "global", kind: "number", defaultValue: 1 },
  // Accepted because published recipes carry it; it has never changed a number.
  { name: "int8_mask", scope: "global", kind: "boolean", defaultValue: 0 },
];

const taskVector = (
  name: MethodName,
  title: string,
  reference: string,
  normalize: boolean,
  rescale: boolean,
): MethodInfo => ({
  name,
  title,
  reference,
  base: "required",
  modelsMin: 1,
  modelsMax: Number.POSITIVE_INFINITY,
  parameters: taskVectorParameters(normalize, rescale),
});

export const METHODS: readonly MethodInfo[] = [
  {
    name: "linear",
    title: "Linear",
    reference: "https://arxiv.org/abs/2203.05482",
    base: "input",
    modelsMin: 1,
    modelsMax: Number.POSITIVE_INFINITY,
    parameters: [weight, { name: "normalize", scope: "global", kind: "boolean", defaultValue: 1 }],
  },
  {
    name: "slerp",
    title: "SLERP",
    reference: "https://en.wikipedia.org/wiki/Slerp",
    base: "required",
    modelsMin: 2,
    modelsMax: 2,
    parameters: [{ name: "t", scope: "global", kind: "number", defaultValue: null }],
  },
  {
    name: "passthrough",
    title: "Passthrough",
    reference: null,
    base: "forbidden",
    modelsMin: 1,
    modelsMax: 1,
    parameters: [
      { name: "scale", scope: "model", kind: "number", defaultValue: null, optional: true },
    ],
  },
  taskVector(
    "task_arithmetic",
    "Task Arithmetic",
    "https://arxiv.org/abs/2212.04089",
    false,
    false,
  ),
  taskVector("ties", "TIES", "https://arxiv.org/abs/2306.01708", true, false),
  taskVector("dare_linear", "Linear DARE", "https://arxiv.org/abs/2311.03099", false, true),
  taskVector("dare_ties", "DARE TIES", "https://arxiv.org/abs/2311.03099", false, true),
];

/** Methods of the recipe language that this version refuses by name. */
export const UNSUPPORTED_METHODS: readonly string[] = [
  "nuslerp",
  "multislerp",
  "karcher",
  "model_stock",
  "arcee_fusion",
  "nearswap",
  "sce",
  "ram",
  "ramplus_tl",
  "breadcrumbs",
  "breadcrumbs_ties",
  "della",
  "della_linear",
];

export function methodInfo(name: MethodName): MethodInfo {
  const row = METHODS.find((method) => method.name === name);
  if (row === undefined) throw new Error(`method ${name} is not in the table`);
  return row;
}
