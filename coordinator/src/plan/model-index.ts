// A described model, looked up the ways planning needs: tensors in file order, by layer, by stack.
import type { ModelReference } from "../recipe/recipe.js";
import { compareText } from "./canonical.js";
import { type ModelConfig, parseModelConfig } from "./model-config.js";
import { isInputEmbeddingName, type LayerName, splitLayer, templateOf } from "./names.js";
import type { DescribedModel, TensorInfo } from "./types.js";

export interface IndexedTensor {
  readonly info: TensorInfo;
  readonly layer: LayerName | null;
  readonly template: string;
}

export interface ModelIndex {
  /** Position among the recipe's references: an identity that does not depend on paths. */
  readonly position: number;
  readonly reference: ModelReference;
  readonly model: DescribedModel;
  readonly config: ModelConfig | null;
  /** In file order, whatever order the description came in. */
  readonly tensors: readonly IndexedTensor[];
  /** Layer stack prefix to number of layers (highest layer number + 1). */
  readonly stacks: ReadonlyMap<string, number>;
  /** Candidates for the token embedding matrix, in file order. */
  readonly inputEmbeddings: readonly TensorInfo[];
}

export function indexModel(
  model: DescribedModel,
  reference: ModelReference,
  position: number,
): ModelIndex {
  const tensors = [...model.tensors.values()].sort(inFileOrder).map((info) => {
    const layer = splitLayer(info.name);
    return { info, layer, template: templateOf(info.name, layer) };
  });
  const stacks = new Map<string, number>();
  for (const { layer } of tensors) {
    if (layer === null) continue;
    stacks.set(layer.prefix, Math.max(stacks.get(layer.prefix) ?? 0, layer.layer + 1));
  }
  return {
    position,
    reference,
    model,
    config: model.configText === null ? null : parseModelConfig(model.configText),
    tensors,
    stacks,
    inputEmbeddings: tensors
      .map(({ info }) => info)
      .filter((info) => info.shape.length === 2 && isInputEmbeddingName(info.name)),
  };
}

function inFileOrder(a: TensorInfo, b: TensorInfo): number {
  return a.file - b.file || a.offsetBytes - b.offsetBytes || compareText(a.name, b.name);
}

/** Rank of every template over all models, donor first: the natural order inside a layer. */
export function templateRanks(models: readonly ModelIndex[]): ReadonlyMap<string, number> {
  const ranks = new Map<string, number>();
  for (const { tensors } of models) {
    for (const { template } of tensors) {
      if (!ranks.has(template)) ranks.set(template, ranks.size);
    }
  }
  return ranks;
}
