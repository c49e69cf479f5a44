// A composed YAML document to a tree: aliases and merge keys resolved, duplicate keys refused. An
// alias shares its target, so nothing grows here; what the tree would be when walked is counted.
import { quoted } from "@graft/proto";
import { type Document, isAlias, isMap, isScalar, isSeq, type Pair, type YAMLMap } from "yaml";
import type { Entry, Fault, Mapping, Scalar, Tree } from "./tree.js";

export interface Converted {
  /** Null when walking the document would take too long. */
  readonly tree: Tree | null;
  readonly faults: readonly Fault[];
}

/** Values in a document with every alias written out. */
const VALUES_MAX = 100_000;

export function convertDocument(document: Document.Parsed): Converted {
  const conversion: Conversion = { anchors: new Map(), sizes: new Map(), faults: [], merged: 0 };
  const tree = convert(conversion, document.contents, document.range[0]);
  const size = conversion.sizes.get(tree) ?? 1;
  if (size + conversion.merged <= VALUES_MAX) return { tree, faults: conversion.faults };
  const message = `the recipe expands to more than ${VALUES_MAX} values; write fewer aliases`;
  return { tree: null, faults: [{ offset: tree.offset, message }] };
}

interface Conversion {
  /** Null while the anchored value itself is being read. */
  readonly anchors: Map<string, Tree | null>;
  /** Values below each tree, shared ones counted wherever they appear. */
  readonly sizes: Map<Tree, number>;
  readonly faults: Fault[];
  /** Entries copied by merge keys so far. */
  merged: number;
}

/** `fallback` is where an absent value would have stood. */
function convert(conversion: Conversion, node: unknown, fallback: number): Tree {
  if (isAlias(node)) return convertAlias(conversion, node.source, node.range?.[0] ?? fallback);
  if (!isScalar(node) && !isMap(node) && !isSeq(node)) return emptyScalar(fallback);
  const offset = node.range?.[0] ?? fallback;
  if (node.anchor !== undefined) conversion.anchors.set(node.anchor, null);
  let tree: Tree;
  if (isMap(node)) {
    tree = convertMap(conversion, node, offset);
  } else if (isSeq(node)) {
    const items = node.items.map((item) => convert(conversion, item, offset));
    tree = { kind: "list", offset, items };
  } else {
    tree = convertScalar(String(node.value), node.type, offset, node.range?.[1] ?? offset);
  }
  conversion.sizes.set(tree, sizeOf(conversion, tree));
  if (node.anchor !== undefined) conversion.anchors.set(node.anchor, tree);
  return tree;
}

function convertScalar(text: string, type: string | undefined, start: number, end: number): Scalar {
  const style = type === "PLAIN" ? "plain" : type?.startsWith("QUOTE") ? "quoted" : "block";
  return { kind: "scalar", offset: start, length: end - start, text, style };
}

const emptyScalar = (offset: number): Scalar => ({
  kind: "scalar",
  offset,
  length: 0,
  text: "",
  style: "plain",
});

function convertAlias(conversion: Conversion, name: string, offset: number): Tree {
  const target = conversion.anchors.get(name);
  if (target !== undefined && target !== null) return target;
  const problem = target === null ? "stands inside the value it names" : "names no earlier anchor";
  conversion.faults.push({ offset, message: `alias *${quoted(name).slice(1, -1)} ${problem}` });
  return emptyScalar(offset);
}

function sizeOf(conversion: Conversion, tree: Tree): number {
  if (tree.kind === "scalar") return 1;
  const below = tree.kind === "list" ? tree.items : values(tree);
  let size = 1;
  for (const child of below) size += conversion.sizes.get(child) ?? 1;
  return size;
}

const values = (mapping: Mapping): readonly Tree[] =>
  [...mapping.entries.values()].map((entry) => entry.value);

function convertMap(conversion: Conversion, node: YAMLMap, offset: number): Tree {
  const entries = new Map<string, Entry>();
  const merges: Tree[] = [];
  for (const pair of node.items) {
    const key = readKey(conversion, pair, offset);
    const value = convert(conversion, pair.value, key?.end ?? offset);
    if (key === null) continue;
    if (key.isMerge) merges.push(value);
    else if (!entries.has(key.text)) entries.set(key.text, { keyOffset: key.offset, value });
    else {
      const message = `key ${quoted(key.text)} is given twice in one mapping; keep one`;
      conversion.faults.push({ offset: key.offset, message });
    }
  }
  for (const source of merges) merge(conversion, entries, source);
  return { kind: "mapping", offset, entries };
}

interface Key {
  readonly text: string;
  readonly offset: number;
  readonly end: number;
  readonly isMerge: boolean;
}

function readKey(conversion: Conversion, pair: Pair, fallback: number): Key | null {
  const { key } = pair;
  if (isScalar(key)) {
    const offset = key.range?.[0] ?? fallback;
    const tree = convert(conversion, key, offset);
    const text = tree.kind === "scalar" ? tree.text : "";
    const isMerge = text === "<<" && key.type === "PLAIN";
    return { text, offset, end: key.range?.[1] ?? offset, isMerge };
  }
  const offset = (isMap(key) || isSeq(key) || isAlias(key) ? key.range?.[0] : null) ?? fallback;
  conversion.faults.push({ offset, message: "a key must be plain text, not a list or an alias" });
  return null;
}

/** Keys of the mapping itself win over merged ones, earlier merged ones over later ones. */
function merge(conversion: Conversion, entries: Map<string, Entry>, source: Tree): void {
  const sources = source.kind === "list" ? source.items : [source];
  for (const mapping of sources) {
    if (mapping.kind !== "mapping") {
      const message = "<<: expected a mapping or a list of mappings to merge";
      conversion.faults.push({ offset: mapping.offset, message });
      continue;
    }
    // Past the limit the document is refused anyway, so copying stops.
    conversion.merged += mapping.entries.size;
    if (conversion.merged > VALUES_MAX) return;
    for (const [key, entry] of mapping.entries) if (!entries.has(key)) entries.set(key, entry);
  }
}
