// Readers of the small shapes a recipe is made of: a mapping with known keys, a list, a text, a
// whole number. Each tells what it expected and what it got, and returns null for anything else.
import { quoted } from "@graft/proto";
import type { Problems } from "./problems.js";
import { readNumber, textProblem } from "./scalar.js";
import { suggestion } from "./spelling.js";
import { childPath, describe, type Entry, isNull, type Tree } from "./tree.js";

export interface Keys {
  readonly allowed: readonly string[];
  /** Keys of the recipe language that the caller refuses itself, by name. */
  readonly refused?: readonly string[];
}

export type Fields = ReadonlyMap<string, Entry>;

/** The entries of a mapping; keys it may not have are told and left out, and so are nulls. */
export function readFields(
  problems: Problems,
  tree: Tree,
  path: string,
  keys: Keys,
): Fields | null {
  const { allowed, refused = [] } = keys;
  if (tree.kind !== "mapping") {
    const expected = `expected a mapping with the keys ${allowed.join(", ")}`;
    problems.error(problems.locate(tree.offset), path, `${expected}, got ${describe(tree)}`);
    return null;
  }
  const fields = new Map<string, Entry>();
  for (const [key, entry] of tree.entries) {
    if (!allowed.includes(key) && !refused.includes(key)) {
      const hint = suggestion(key, [...allowed, ...refused]);
      const text = `unknown key${hint || ";"} allowed here: ${allowed.join(", ")}`;
      problems.ignored(problems.locate(entry.keyOffset), childPath(path, key), text);
    } else if (!isNull(entry.value)) fields.set(key, entry);
  }
  return fields;
}

/** The items of a list that must not be empty. */
export function readList(
  problems: Problems,
  tree: Tree,
  path: string,
  what: string,
): readonly Tree[] | null {
  if (tree.kind === "list" && tree.items.length > 0) return tree.items;
  const text = `expected a list of ${what}, got ${describe(tree)}`;
  problems.error(problems.locate(tree.offset), path, text);
  return null;
}

export function readText(problems: Problems, tree: Tree, path: string): string | null {
  const problem =
    tree.kind === "scalar" ? textProblem(tree) : `expected text, got ${describe(tree)}`;
  if (problem === null && tree.kind === "scalar") return tree.text;
  problems.error(problems.locate(tree.offset), path, problem ?? "");
  return null;
}

/** Integral decimals such as 4.0 count as whole; numbers beyond 2^53 are refused, never rounded. */
export function readWhole(problems: Problems, tree: Tree, path: string): number | null {
  const refuse = (text: string): null => {
    problems.error(problems.locate(tree.offset), path, text);
    return null;
  };
  if (tree.kind !== "scalar" || isNull(tree))
    return refuse(`expected a whole number, got ${describe(tree)}`);
  const reading = readNumber(tree);
  if (reading.value === null) return refuse(reading.problem);
  const isTruth = tree.style === "plain" && /^[a-z]/i.test(tree.text);
  if (isTruth || !Number.isInteger(reading.value)) {
    return refuse(`expected a whole number, got ${quoted(tree.text)}`);
  }
  if (!Number.isSafeInteger(reading.value)) return refuse(`${quoted(tree.text)} is too large`);
  return reading.value;
}
