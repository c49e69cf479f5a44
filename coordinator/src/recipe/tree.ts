// What a YAML document is once syntax is dealt with: mappings, lists and scalars that know where
// they stand. Scalars stay text: what `012` or `yes` means depends on what is expected (scalar.ts).
import { quoted } from "@graft/proto";

export interface Scalar {
  readonly kind: "scalar";
  readonly offset: number;
  /** Length in the recipe text, quotes included. */
  readonly length: number;
  readonly text: string;
  readonly style: "plain" | "quoted" | "block";
}

export interface List {
  readonly kind: "list";
  readonly offset: number;
  readonly items: readonly Tree[];
}

export interface Entry {
  readonly keyOffset: number;
  readonly value: Tree;
}

export interface Mapping {
  readonly kind: "mapping";
  readonly offset: number;
  /** Merge keys are resolved; an aliased value is shared, not copied. */
  readonly entries: ReadonlyMap<string, Entry>;
}

export type Tree = Scalar | List | Mapping;

/** Something wrong with the text itself, before it is a recipe. */
export interface Fault {
  readonly offset: number;
  readonly message: string;
}

const NULL_TEXTS = new Set(["", "~", "null", "Null", "NULL"]);

export function isNull(tree: Tree): boolean {
  return tree.kind === "scalar" && tree.style === "plain" && NULL_TEXTS.has(tree.text);
}

/** For "expected …, got …". */
export function describe(tree: Tree): string {
  if (isNull(tree)) return "nothing (null)";
  if (tree.kind === "scalar") return quoted(tree.text);
  if (tree.kind === "mapping") return "a mapping";
  return tree.items.length === 0 ? "an empty list" : "a list";
}

/** `path.key`, or `path["odd key"]` where the key needs quotes to be read unambiguously. */
export function childPath(path: string, key: string | number): string {
  if (typeof key === "number") return `${path}[${key}]`;
  if (!/^[A-Za-z_][\w-]{0,63}$/.test(key)) return `${path}[${quoted(key)}]`;
  return path === "" ? key : `${path}.${key}`;
}
