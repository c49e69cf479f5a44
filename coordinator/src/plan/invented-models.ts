// Invented models for tests: descriptions as a worker would give them, of weights that do not exist.
import { Dtype, dtypeInfo } from "@graft/proto";
import { parseRecipe } from "../recipe/parse.js";
import type { Problem, Recipe } from "../recipe/recipe.js";
import { createPlan, type PlanResult } from "./plan.js";
import type { DescribedModel, Plan, PlanOptions, TensorInfo } from "./types.js";

export interface InventedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype?: Dtype;
}

export interface InventedModel {
  readonly reference: string;
  readonly tensors: readonly InventedTensor[];
  readonly config?: object | string | null;
  readonly sideFiles?: readonly string[];
  readonly fileCount?: number;
  /** Parent of the model's directory. */
  readonly root?: string;
}

const HEADER_BYTES = 4096;

export function inventModel(invented: InventedModel): DescribedModel {
  const { reference, config = {}, sideFiles = [], fileCount = 1, root = "/models" } = invented;
  const perFile = Math.ceil(invented.tensors.length / fileCount);
  const ends = new Array<number>(fileCount).fill(HEADER_BYTES);
  const tensors = new Map<string, TensorInfo>();
  invented.tensors.forEach(({ name, shape, dtype = Dtype.DTYPE_BF16 }, position) => {
    const file = Math.floor(position / perFile);
    const lengthBytes = shape.reduce((a, b) => a * b, 1) * dtypeInfo(dtype).sizeBytes;
    const offsetBytes = ends[file] ?? 0;
    ends[file] = offsetBytes + lengthBytes;
    tensors.set(name, { name, dtype, shape, file, offsetBytes, lengthBytes });
  });
  return {
    reference,
    label: reference,
    directory: `${root}/${reference}`,
    configText: config === null || typeof config === "string" ? config : JSON.stringify(config),
    sideFiles: sideFiles.map((name) => ({ name, sizeBytes: 1 })),
    files: ends.map((sizeBytes, file) => ({
      path: `${root}/${reference}/weights-${file}.safetensors`,
      name: `weights-${file}.safetensors`,
      sizeBytes,
      headerDigest: String(file).padStart(32, "0"),
      modifiedTimeNs: BigInt(root.length),
      inode: BigInt(root.length + file),
    })),
    tensors,
    notes: [],
  };
}

export interface LlamaShape {
  readonly layers: number;
  readonly hidden?: number;
  readonly vocabulary?: number;
  readonly tied?: boolean;
  readonly dtype?: Dtype;
  readonly config?: object;
}

/** Tensors of a small decoder: embeddings, layers of two matrices and a norm, final norm, head. */
export function llamaTensors(shape: LlamaShape): InventedTensor[] {
  const { layers, hidden = 16, vocabulary = 64, tied = false } = shape;
  const dtype = shape.dtype ?? Dtype.DTYPE_BF16;
  const embedding = { name: "model.embed_tokens.weight", shape: [vocabulary, hidden], dtype };
  const head = { name: "lm_head.weight", shape: [vocabulary, hidden], dtype };
  return [
    embedding,
    ...Array.from({ length: layers }, (_, layer) => [
      { name: `model.layers.${layer}.input_layernorm.weight`, shape: [hidden], dtype },
      { name: `model.layers.${layer}.mlp.up_proj.weight`, shape: [2 * hidden, hidden], dtype },
      { name: `model.layers.${layer}.self_attn.q_proj.weight`, shape: [hidden, hidden], dtype },
    ]).flat(),
    { name: "model.norm.weight", shape: [hidden], dtype },
    ...(tied ? [] : [head]),
  ];
}

export function llamaConfig({ layers, hidden = 16, vocabulary = 64, tied = false }: LlamaShape) {
  return {
    architectures: ["LlamaForCausalLM"],
    hidden_size: hidden,
    num_hidden_layers: layers,
    vocab_size: vocabulary,
    tie_word_embeddings: tied,
    torch_dtype: "bfloat16",
  };
}

export function inventLlama(reference: string, shape: LlamaShape): DescribedModel {
  const config = { ...llamaConfig(shape), ...shape.config };
  return inventModel({ reference, tensors: llamaTensors(shape), config });
}

export const planOptions: PlanOptions = {
  seed: 7n,
  maxShardSizeBytes: 5e9,
  lenient: false,
  kernelVersion: "test-1",
};

export function readRecipe(text: string): Recipe {
  const { recipe, problems } = parseRecipe(text, { lenient: false });
  if (recipe === null) throw new Error(problems.map(({ message }) => message).join("\n"));
  return recipe;
}

export function tryPlan(
  recipeText: string,
  models: readonly DescribedModel[],
  options: Partial<PlanOptions> = {},
): PlanResult {
  const byReference = new Map(models.map((model) => [model.reference, model]));
  return createPlan(readRecipe(recipeText), byReference, { ...planOptions, ...options });
}

export function planOf(
  recipeText: string,
  models: readonly DescribedModel[],
  options: Partial<PlanOptions> = {},
): Plan {
  const { plan, problems } = tryPlan(recipeText, models, options);
  if (plan === null) throw new Error(problems.map(({ message }) => message).join("\n"));
  return plan;
}

export function problemsOf(
  recipeText: string,
  models: readonly DescribedModel[],
): readonly Problem[] {
  return tryPlan(recipeText, models).problems;
}

/** The operation that writes an output tensor. */
export function operationOf(plan: Plan, tensor: string) {
  for (const task of plan.tasks) {
    for (const operation of task.operations) {
      if (operation.destinations.some((destination) => destination.tensor === tensor)) {
        return operation;
      }
    }
  }
  throw new Error(`nothing writes ${tensor}`);
}

export function outputNames(plan: Plan): string[] {
  return plan.files.flatMap(({ tensors }) => tensors.map(({ name }) => name));
}

export function ledgerOf(plan: Plan, model: string, tensor: string) {
  const found = plan.ledger.filter((entry) => entry.model === model && entry.tensor === tensor);
  if (found.length !== 1) throw new Error(`${found.length} ledger entries for ${model} ${tensor}`);
  return found[0];
}

/** Small seeded generator (mulberry32) for property tests. */
export function seededRandom(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound;
  };
}
