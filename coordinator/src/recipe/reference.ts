// Model references: plain text, or the mapping forms {model: PATH} and {path: PATH}. Revisions,
// LoRA adapters and architecture overrides belong to the language and are refused by name.
import { quoted } from "@graft/proto";
import { readFields, readText } from "./fields.js";
import type { Problems } from "./problems.js";
import type { ModelReference } from "./recipe.js";
import { childPath, describe, type Scalar, type Tree } from "./tree.js";

const EXTRAS: ReadonlyMap<string, string> = new Map([
  ["lora", "merge the adapter into its model first and name the result"],
  ["override_architecture", "edit architectures in the model's config.json instead"],
  ["revision", "download that revision and name its directory"],
]);

export function readReference(problems: Problems, tree: Tree, path: string): ModelReference | null {
  if (tree.kind === "scalar") return readScalar(problems, tree, path, true);
  if (tree.kind === "list") {
    const text = `expected a model (a directory or org/name), got ${describe(tree)}`;
    problems.error(problems.locate(tree.offset), path, text);
    return null;
  }
  const keys = { allowed: ["model", "path"], refused: [...EXTRAS.keys()] };
  const fields = readFields(problems, tree, path, keys);
  if (fields === null) return null;
  for (const [key, remedy] of EXTRAS) {
    const entry = fields.get(key);
    if (entry === undefined) continue;
    const text = `not supported by this version; ${remedy}`;
    problems.error(problems.locate(entry.keyOffset), childPath(path, key), text);
  }
  const model = fields.get("model");
  const literal = fields.get("path");
  if ((model === undefined) === (literal === undefined)) {
    const text = "expected a model reference with exactly one of the keys model, path";
    problems.error(problems.locate(tree.offset), path, text);
    return null;
  }
  if (model !== undefined) return readReference(problems, model.value, childPath(path, "model"));
  if (literal?.value.kind !== "scalar") {
    problems.error(problems.locate(tree.offset), childPath(path, "path"), "expected text");
    return null;
  }
  return readScalar(problems, literal.value, childPath(path, "path"), false);
}

/** `hasSyntax`: "+" and "@" are taken literally only in {path: …}. */
function readScalar(
  problems: Problems,
  scalar: Scalar,
  path: string,
  hasSyntax: boolean,
): ModelReference | null {
  const text = readText(problems, scalar, path);
  if (text === null) return null;
  const position = problems.locate(scalar.offset);
  const problem = referenceProblem(text, hasSyntax);
  if (problem !== null) {
    problems.error(position, path, problem);
    return null;
  }
  return { text, position, offset: scalar.offset, length: scalar.length };
}

function referenceProblem(text: string, hasSyntax: boolean): string | null {
  if (text.trim() === "") return "expected a model (a directory or org/name), got an empty text";
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a path with one is a trap
  if (/[\0-\x1f\x7f]/.test(text)) return `${quoted(text)}: a model reference is one line of text`;
  const literal = "for a directory of that very name write {path: …}";
  if (hasSyntax && text.includes("+")) {
    const remedy = `${EXTRAS.get("lora")}; ${literal}`;
    return `${quoted(text)} names a LoRA adapter (+), not supported by this version; ${remedy}`;
  }
  if (hasSyntax && text.includes("@")) {
    const remedy = `${EXTRAS.get("revision")}; ${literal}`;
    return `${quoted(text)} names a revision (@), not supported by this version; ${remedy}`;
  }
  return null;
}
