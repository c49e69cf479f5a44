// Lists in config.json with one entry per layer (layer_types and the like) follow the layers they
// describe. They are recognised by their length, and their entries are moved as text.
import { applyEdits, type Edit, findNodeAtLocation, type Node, parseTree } from "jsonc-parser";
import { configScopes, type ModelConfig } from "./model-config.js";
import type { NoteList } from "./problem-list.js";
import type { LayerOrigin } from "./slices-form.js";

/** Lists that say something else, whatever their length happens to be. */
const OTHER_LISTS = /^architectures$|token_ids?$/;

export function rebuildLayerLists(
  config: ModelConfig,
  origins: readonly LayerOrigin[],
  notes: NoteList,
): string {
  const trees = new Map<ModelConfig, Node | undefined>();
  const treeOf = (of: ModelConfig) => {
    if (!trees.has(of)) trees.set(of, parseTree(of.text));
    return trees.get(of);
  };
  const edits = layerListPaths(config).flatMap((path): Edit[] => {
    const list = findAt(treeOf(config), path);
    if (list === undefined) return [];
    const entries = origins.map(({ index, layer }) => {
      const own = index.config === null ? undefined : findAt(treeOf(index.config), path);
      const entry = own?.type === "array" ? own.children?.[layer] : undefined;
      if (entry !== undefined && index.config !== null) return nodeText(index.config.text, entry);
      notes.add(`list ${path.join(".")}`, () => {
        return `config.json: ${path.join(".")} has no entry for some layers; the nearest is used`;
      });
      return nearestEntry(config.text, list, layer);
    });
    return [replaceEntries(config.text, list, entries)];
  });
  return applyEdits(config.text, edits);
}

function layerListPaths(config: ModelConfig): string[][] {
  const count = config.layerCount?.value;
  return configScopes(config).flatMap(({ path, value }) =>
    Object.entries(value).flatMap(([key, list]) => {
      const isPerLayer = Array.isArray(list) && list.length === count && !OTHER_LISTS.test(key);
      return isPerLayer && list.length > 0 ? [[...path, key]] : [];
    }),
  );
}

function findAt(tree: Node | undefined, path: readonly string[]): Node | undefined {
  return tree === undefined ? undefined : findNodeAtLocation(tree, [...path]);
}

function nodeText(text: string, node: Node): string {
  return text.slice(node.offset, node.offset + node.length);
}

function nearestEntry(text: string, list: Node, layer: number): string {
  const entries = list.children ?? [];
  const entry = entries[Math.min(layer, entries.length - 1)];
  return entry === undefined ? "null" : nodeText(text, entry);
}

/** Keeps the list's own layout: what stands before the first entry also separates the others. */
function replaceEntries(text: string, list: Node, entries: readonly string[]): Edit {
  const children = list.children ?? [];
  const first = children[0];
  const last = children.at(-1);
  if (first === undefined || last === undefined) throw new Error("an empty list is not per layer");
  const end = last.offset + last.length;
  const lead = text.slice(list.offset + 1, first.offset);
  const separator = lead.includes("\n") ? `,${lead}` : ", ";
  return { offset: first.offset, length: end - first.offset, content: entries.join(separator) };
}
