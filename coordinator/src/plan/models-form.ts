// Requests of a recipe that lists whole models: everything merges by name, no layer stack is needed.

import type { ModelIndex } from "./model-index.js";
import { isEmbeddingName, splitLayer, templateOf } from "./names.js";
import type { ProblemList } from "./problem-list.js";
import {
  addHeadAliases,
  gatherByName,
  headsOf,
  type OutputOrder,
  type OutputRequest,
  type SliceScope,
} from "./requests.js";

export function requestsOfModels(
  scope: SliceScope,
  ranks: ReadonlyMap<string, number>,
  problems: ProblemList,
): OutputRequest[] {
  checkDepths(scope, problems);
  const byName = gatherByName(scope.sources, () => true);
  addHeadAliases(scope.sources, headsOf(scope.sources.map(({ index }) => index)), byName);
  const depths = stackDepths(scope);
  const stackRanks = new Map([...depths.keys()].map((prefix, rank) => [prefix, rank]));
  return [...byName].map(([name, inputs]) => {
    const layer = splitLayer(name);
    const rank = ranks.get(templateOf(name, layer)) ?? ranks.size;
    const order: OutputOrder =
      layer === null
        ? { group: isEmbeddingName(name) ? 0 : 2, stack: 0, layer: 0, rank }
        : { group: 1, stack: stackRanks.get(layer.prefix) ?? 0, layer: layer.layer, rank };
    const t = layer === null ? 0 : gradientPosition(layer.layer, depths.get(layer.prefix) ?? 1);
    return { name, scope, t, inputs, order, copyReason: null };
  });
}

/** Position of a layer on a gradient; a stack of one layer takes the last element. */
export function gradientPosition(layer: number, depth: number): number {
  return depth <= 1 ? 1 : Math.min(1, layer / (depth - 1));
}

/** Layers per stack. Extra layers behind the config's count (draft heads) do not stretch gradients. */
function stackDepths(scope: SliceScope): Map<string, number> {
  const depths = new Map<string, number>();
  for (const { index } of scope.sources) {
    const stated = index.stacks.size === 1 ? index.config?.layerCount?.value : undefined;
    for (const [prefix, count] of index.stacks) {
      const depth = stated !== undefined && stated > 0 ? Math.min(stated, count) : count;
      depths.set(prefix, Math.max(depths.get(prefix) ?? 0, depth));
    }
  }
  return depths;
}

function checkDepths(scope: SliceScope, problems: ProblemList): void {
  const known = scope.sources.flatMap(({ index }) => {
    const depth = modelDepth(index);
    return depth === null ? [] : [{ index, depth }];
  });
  const first = known[0];
  if (first === undefined) return;
  for (const { index, depth } of known) {
    if (depth === first.depth) continue;
    problems.add(`depth ${index.position}`, index.reference.position, () => {
      return (
        `model "${index.reference.text}": ${depth} layers, but "${first.index.reference.text}" ` +
        `has ${first.depth}; choose layers with "slices" and "layer_range"`
      );
    });
  }
}

function modelDepth(index: ModelIndex): number | null {
  const stated = index.config?.layerCount?.value;
  if (stated !== undefined) return stated;
  return index.stacks.size === 1 ? ([...index.stacks.values()][0] ?? null) : null;
}
