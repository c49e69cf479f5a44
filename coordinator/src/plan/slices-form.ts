// Requests of a recipe that assembles layers from ranges. Output layers are numbered in order of the
// slices; embeddings belong to the first slice, everything else outside the layer stack to the last.

import type { IndexedTensor, ModelIndex } from "./model-index.js";
import { gradientPosition } from "./models-form.js";
import { isEmbeddingName, layerTensorName, splitLayer } from "./names.js";
import type { ProblemList } from "./problem-list.js";
import {
  addHeadAliases,
  gatherByName,
  headsOf,
  type OutputRequest,
  type RequestInput,
  type SliceScope,
  type SourceModel,
} from "./requests.js";
import type { TensorInfo } from "./types.js";

/** Where an output layer comes from: the first source of its slice. */
export interface LayerOrigin {
  readonly index: ModelIndex;
  readonly layer: number;
}

export interface SlicesResult {
  readonly requests: OutputRequest[];
  readonly origins: readonly LayerOrigin[];
  /** Prefix of the layer stack that was sliced. */
  readonly prefix: string;
}

export function requestsOfSlices(
  scopes: readonly SliceScope[],
  models: readonly ModelIndex[],
  ranks: ReadonlyMap<string, number>,
  problems: ProblemList,
): SlicesResult | null {
  const prefix = commonStack(scopes, problems);
  if (prefix === null || !checkRanges(scopes, prefix, problems)) return null;
  const layers = new Map(models.map((index) => [index, tensorsByLayer(index, prefix)]));
  const requests: OutputRequest[] = [];
  const origins: LayerOrigin[] = [];
  for (const scope of scopes) {
    const depth = rangeLength(scope);
    for (let offset = 0; offset < depth; offset += 1) {
      const bySuffix = layerInputs(scope, offset, layers);
      if (bySuffix.size === 0) {
        reportEmptyLayer(scope, offset, problems);
        return null;
      }
      const layer = origins.length;
      const t = gradientPosition(offset, depth);
      for (const [suffix, inputs] of bySuffix) {
        const rank = ranks.get(`${prefix}.*.${suffix}`) ?? ranks.size;
        const order = { group: 1 as const, stack: 0, layer, rank };
        const name = layerTensorName(prefix, layer, suffix);
        requests.push({ name, scope, t, inputs, order, copyReason: null });
      }
      const first = scope.sources[0];
      if (first !== undefined) origins.push({ index: first.index, layer: start(first) + offset });
    }
  }
  requests.push(...outsideRequests(scopes, models, prefix, ranks));
  return { requests, origins, prefix };
}

function start(from: SourceModel): number {
  return from.source.layerRange?.[0] ?? 0;
}

function rangeLength(scope: SliceScope): number {
  const range = scope.sources[0]?.source.layerRange;
  return range == null ? 0 : range[1] - range[0];
}

/** Prefix of the one stack that all sources share; a problem when there is no such thing. */
function commonStack(scopes: readonly SliceScope[], problems: ProblemList): string | null {
  let common: { readonly prefix: string; readonly index: ModelIndex } | null = null;
  for (const index of new Set(scopes.flatMap(({ sources }) => sources.map((from) => from.index)))) {
    const prefix = sliceStack(index, problems);
    if (prefix === null) return null;
    const first: { readonly prefix: string; readonly index: ModelIndex } = common ?? {
      prefix,
      index,
    };
    common = first;
    if (prefix === first.prefix) continue;
    problems.add(`stack ${index.position}`, index.reference.position, () => {
      return (
        `model "${index.reference.text}": layers are named "${prefix}.N", but those of ` +
        `"${first.index.reference.text}" "${first.prefix}.N"; they cannot be stacked`
      );
    });
    return null;
  }
  return common?.prefix ?? null;
}

/** The only stack, or the one as deep as the config says. */
function sliceStack(index: ModelIndex, problems: ProblemList): string | null {
  const prefixes = [...index.stacks.keys()];
  const depth = index.config?.layerCount?.value;
  const matching = prefixes.filter((prefix) => index.stacks.get(prefix) === depth);
  const found = prefixes.length === 1 ? prefixes[0] : matching.length === 1 ? matching[0] : null;
  if (found != null) return found;
  problems.add(`stack ${index.position}`, index.reference.position, () => {
    const name = `model "${index.reference.text}"`;
    if (prefixes.length === 0) return `${name}: no tensor name has a layer number; list "models"`;
    const listed = prefixes.map((prefix) => `"${prefix}" (${index.stacks.get(prefix)})`).join(", ");
    const count = depth === undefined ? "the config gives no layer count" : `config: ${depth}`;
    return `${name}: several layer stacks, cannot tell which to slice: ${listed}; ${count}`;
  });
  return null;
}

function checkRanges(
  scopes: readonly SliceScope[],
  prefix: string,
  problems: ProblemList,
): boolean {
  scopes.forEach((scope, sliceNumber) => {
    for (const { source, index, position } of scope.sources) {
      const range = source.layerRange;
      const count = index.stacks.get(prefix) ?? 0;
      if (range === null || range[1] <= count) continue;
      const path = `slices[${sliceNumber}].sources[${position}].layer_range`;
      const where = source.rangePosition ?? source.model.position;
      problems.add(path, where, () => {
        return (
          `${path}: [${range[0]}, ${range[1]}] is beyond the last layer of ` +
          `"${source.model.text}", which has ${count}; the end must be at most ${count}`
        );
      });
    }
  });
  return problems.isEmpty;
}

type TensorsBySuffix = ReadonlyMap<string, TensorInfo>;

function tensorsByLayer(index: ModelIndex, prefix: string): ReadonlyMap<number, TensorsBySuffix> {
  const layers = new Map<number, Map<string, TensorInfo>>();
  for (const { info, layer } of index.tensors) {
    if (layer?.prefix !== prefix) continue;
    const tensors = layers.get(layer.layer) ?? new Map<string, TensorInfo>();
    layers.set(layer.layer, tensors.set(layer.suffix, info));
  }
  return layers;
}

function layerInputs(
  scope: SliceScope,
  offset: number,
  layers: ReadonlyMap<ModelIndex, ReadonlyMap<number, TensorsBySuffix>>,
): Map<string, RequestInput[]> {
  const bySuffix = new Map<string, RequestInput[]>();
  for (const from of scope.sources) {
    const tensors = layers.get(from.index)?.get(start(from) + offset) ?? new Map();
    for (const [suffix, tensor] of tensors) {
      const inputs = bySuffix.get(suffix) ?? [];
      inputs.push({ from, tensor, isAlias: false });
      bySuffix.set(suffix, inputs);
    }
  }
  return bySuffix;
}

function reportEmptyLayer(scope: SliceScope, offset: number, problems: ProblemList): void {
  const from = scope.sources[0];
  if (from === undefined) return;
  problems.add("empty layer", from.source.rangePosition ?? from.source.model.position, () => {
    return `model "${from.source.model.text}": layer ${start(from) + offset} has no tensors`;
  });
}

/** Everything outside the sliced stack, t = 0. */
function outsideRequests(
  scopes: readonly SliceScope[],
  models: readonly ModelIndex[],
  prefix: string,
  ranks: ReadonlyMap<string, number>,
): OutputRequest[] {
  const first = scopes[0];
  const last = scopes.at(-1);
  if (first === undefined || last === undefined) return [];
  const outside = (inStack: string | null) => inStack !== prefix;
  const embeddings = gatherByName(
    first.sources,
    ({ info, inStack }) => outside(inStack) && isEmbeddingName(info.name),
  );
  const rest = gatherByName(
    last.sources,
    ({ info, inStack }) => outside(inStack) && !isEmbeddingName(info.name),
  );
  addHeadAliases(last.sources, headsOf(models), rest);
  const request = (scope: SliceScope, copyReason: string | null) => {
    return ([name, inputs]: [string, RequestInput[]]): OutputRequest => {
      const order = outsideOrder(name, ranks);
      return { name, scope, t: 0, inputs, order, copyReason };
    };
  };
  const made = [
    ...[...embeddings].map(request(first, null)),
    ...[...rest].map(request(last, null)),
  ];
  const unclaimed = unclaimedInputs(models, prefix, new Set(made.map(({ name }) => name)));
  const reason = "in no source of the slice its kind is taken from";
  return [...made, ...[...unclaimed].map(request(last, reason))];
}

/** Tensors of any model that no slice provides: copied from the base, else the first that has them. */
function unclaimedInputs(
  models: readonly ModelIndex[],
  prefix: string,
  claimed: ReadonlySet<string>,
): Map<string, RequestInput[]> {
  const sources = models.map((index, position) => {
    const model = index.reference;
    const source = { model, layerRange: null, rangePosition: null, parameters: new Map() };
    return { source, index, position };
  });
  return gatherByName(
    sources,
    ({ info, inStack }) => inStack !== prefix && !claimed.has(info.name),
  );
}

function outsideOrder(name: string, ranks: ReadonlyMap<string, number>): OutputRequest["order"] {
  const layer = splitLayer(name);
  const template = layer === null ? name : `${layer.prefix}.*.${layer.suffix}`;
  const rank = ranks.get(template) ?? ranks.size;
  if (layer !== null) return { group: 2, stack: 0, layer: layer.layer, rank };
  return { group: isEmbeddingName(name) ? 0 : 2, stack: 0, layer: 0, rank };
}

/** Why a tensor of a slices recipe went nowhere. */
export function unusedReason(tensor: IndexedTensor, prefix: string, isSource: boolean): string {
  if (!isSource) return "no slice uses this model";
  if (tensor.layer?.prefix === prefix) return `layer ${tensor.layer.layer} is in no slice`;
  if (isEmbeddingName(tensor.info.name)) return "embeddings come from the first slice";
  return "tensors outside the layers come from the last slice";
}
