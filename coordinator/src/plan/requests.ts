// An output tensor before any method has looked at it: its name, its inputs, its place in the order.
import type { ModelReference, Slice, Source } from "../recipe/recipe.js";
import type { ModelIndex } from "./model-index.js";
import { isHeadName } from "./names.js";
import type { TensorInfo } from "./types.js";

/** A source of a slice with its model resolved. */
export interface SourceModel {
  readonly source: Source;
  readonly index: ModelIndex;
  /** Position among the slice's sources; keys the random streams. */
  readonly position: number;
}

/** A slice with everything a tensor of it needs to resolve its parameters. */
export interface SliceScope {
  readonly slice: Slice;
  readonly sources: readonly SourceModel[];
  /** The slice's own base, else the recipe's. */
  readonly base: ModelReference | null;
}

export interface RequestInput {
  readonly from: SourceModel;
  readonly tensor: TensorInfo;
  /** The token embedding standing in for an output head that the model does not have. */
  readonly isAlias: boolean;
}

export interface OutputRequest {
  readonly name: string;
  readonly scope: SliceScope;
  /** Position on the gradients, 0 to 1. */
  readonly t: number;
  readonly inputs: readonly RequestInput[];
  readonly order: OutputOrder;
  /** Set when the tensor is copied whatever the method: why. */
  readonly copyReason: string | null;
}

/** Embeddings (0), then layers (1) stack by stack, then the rest (2). */
export interface OutputOrder {
  readonly group: 0 | 1 | 2;
  readonly stack: number;
  readonly layer: number;
  readonly rank: number;
}

export function compareOrder(a: OutputOrder, b: OutputOrder): number {
  return a.group - b.group || a.stack - b.stack || a.layer - b.layer || a.rank - b.rank;
}

export function resolveScope(
  slice: Slice,
  recipeBase: ModelReference | null,
  models: ReadonlyMap<string, ModelIndex>,
): SliceScope {
  const sources = slice.sources.map((source, position) => {
    const index = models.get(source.model.text);
    if (index === undefined) throw new Error(`model ${source.model.text} was not described`);
    return { source, index, position };
  });
  return { slice, sources, base: slice.baseModel ?? recipeBase };
}

/** The tensors of the sources that `wants` accepts, by name; inputs in source order. */
export function gatherByName(
  sources: readonly SourceModel[],
  wants: (tensor: { readonly info: TensorInfo; readonly inStack: string | null }) => boolean,
): Map<string, RequestInput[]> {
  const byName = new Map<string, RequestInput[]>();
  for (const from of sources) {
    for (const { info, layer } of from.index.tensors) {
      if (!wants({ info, inStack: layer?.prefix ?? null })) continue;
      const inputs = byName.get(info.name);
      const input = { from, tensor: info, isAlias: false };
      if (inputs === undefined) byName.set(info.name, [input]);
      else inputs.push(input);
    }
  }
  return byName;
}

/**
 * Lets every source without the output head contribute its token embedding instead. `heads` are the
 * head names that some model of the recipe has, with a shape to choose the embedding by.
 */
export function addHeadAliases(
  sources: readonly SourceModel[],
  heads: ReadonlyMap<string, TensorInfo>,
  byName: Map<string, RequestInput[]>,
): void {
  for (const [name, head] of heads) {
    const present = byName.get(name) ?? [];
    const inputs = sources.flatMap((from): RequestInput[] => {
      const own = present.find((input) => input.from === from);
      if (own !== undefined) return [own];
      const embedding = embeddingLike(from.index, head);
      return embedding === null ? [] : [{ from, tensor: embedding, isAlias: true }];
    });
    if (inputs.length > 0) byName.set(name, inputs);
  }
}

/** Output heads of all models, by name; the first model's shape counts. */
export function headsOf(models: Iterable<ModelIndex>): Map<string, TensorInfo> {
  const heads = new Map<string, TensorInfo>();
  for (const { tensors } of models) {
    for (const { info } of tensors) {
      if (!heads.has(info.name) && isHeadName(info.name)) heads.set(info.name, info);
    }
  }
  return heads;
}

function embeddingLike(index: ModelIndex, head: TensorInfo): TensorInfo | null {
  const sameShape = index.inputEmbeddings.find((tensor) => sameDimensions(tensor, head));
  const sameColumns = index.inputEmbeddings.find((tensor) => tensor.shape[1] === head.shape[1]);
  return sameShape ?? sameColumns ?? index.inputEmbeddings[0] ?? null;
}

function sameDimensions(a: TensorInfo, b: TensorInfo): boolean {
  return a.shape.length === b.shape.length && a.shape.every((size, axis) => size === b.shape[axis]);
}
