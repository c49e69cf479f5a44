// Parts of the recipe language that this version refuses by name, with what to do instead. Ignoring
// any of them would change the result, so --lenient does not let them pass.
import { quoted } from "@graft/proto";
import type { Fields } from "./fields.js";
import type { Problems } from "./problems.js";
import { childPath, describe, isNull, type Mapping, type Tree } from "./tree.js";

const COPIED_TOKENIZER =
  "remove it: the tokenizer files of base_model, else of the first model, are copied";

const REFUSED: ReadonlyMap<string, string> = new Map([
  ["modules", "give models or slices at the top level"],
  ["tokenizer", COPIED_TOKENIZER],
  ["tokenizer_source", COPIED_TOKENIZER],
  ["chat_template", "remove it and edit the chat template of the output's tokenizer"],
  ["name", "remove it: only recipes of several documents have names"],
]);

/** Top-level keys that refuseTopLevel knows. */
export const REFUSED_KEYS: readonly string[] = [...REFUSED.keys()];

export function refuseTopLevel(problems: Problems, fields: Fields): void {
  for (const [key, remedy] of REFUSED) {
    const entry = fields.get(key);
    if (entry === undefined) continue;
    const position = problems.locate(entry.keyOffset);
    problems.error(position, key, `not supported by this version; ${remedy}`);
  }
  const tokenizer = fields.get("tokenizer");
  const tokenizerSource = fields.get("tokenizer_source");
  if (tokenizer !== undefined && tokenizerSource !== undefined) {
    const text = "tokenizer and tokenizer_source exclude each other";
    problems.error(problems.locate(tokenizerSource.keyOffset), "tokenizer_source", text);
  }
  if (tokenizer?.value.kind === "mapping") checkTokens(problems, tokenizer.value);
}

/** What is wrong inside the block is told too, for whoever moves the recipe elsewhere. */
function checkTokens(problems: Problems, tokenizer: Mapping): void {
  const tokens = tokenizer.entries.get("tokens")?.value;
  if (tokens?.kind !== "mapping") return;
  for (const [token, { value }] of tokens.entries) {
    const source = value.kind === "mapping" ? value.entries.get("source")?.value : undefined;
    if (source?.kind !== "mapping") continue;
    const path = childPath(childPath("tokenizer.tokens", token), "source");
    checkTokenSource(problems, source, path);
  }
}

function checkTokenSource(problems: Problems, source: Mapping, path: string): void {
  const kind = source.entries.get("kind")?.value;
  if (kind === undefined) return;
  const text = kind.kind === "scalar" ? kind.text : null;
  if (text !== "zero" && text !== "model_token") {
    const message = `unknown kind ${describe(kind)}; the kinds are zero, model_token`;
    problems.error(problems.locate(kind.offset), childPath(path, "kind"), message);
  }
  if (text !== "model_token") return;
  const isGiven = (key: string): boolean => {
    const entry = source.entries.get(key);
    return entry !== undefined && !isNull(entry.value);
  };
  if (isGiven("token") !== isGiven("token_id")) return;
  const problem = isGiven("token") ? "takes only one of" : "needs one of";
  problems.error(problems.locate(source.offset), path, `model_token ${problem} token, token_id`);
}

/** Several documents in one recipe feed each other by name; told apart from a plain mistake. */
export function refuseDocuments(problems: Problems, documents: readonly Tree[]): void {
  const second = documents[1];
  if (second === undefined) return;
  const remedy = "submit them one by one, naming the output of one as a model of the next";
  const text = `recipes of several documents (---) are not supported by this version; ${remedy}`;
  problems.error(problems.locate(second.offset), "", text);
  const named = new Map<string, Tree>();
  for (const document of documents) {
    const name = document.kind === "mapping" ? document.entries.get("name")?.value : undefined;
    if (name?.kind !== "scalar" || isNull(name)) continue;
    if (named.has(name.text)) {
      const message = `${quoted(name.text)} is the name of an earlier document too`;
      problems.error(problems.locate(name.offset), "name", message);
    } else named.set(name.text, document);
  }
  const cycle = findCycle(new Map([...named].map(([name, tree]) => [name, mentions(tree, named)])));
  const at = cycle === null ? undefined : named.get(cycle[0] ?? "");
  if (cycle === null || at === undefined) return;
  const route = cycle.map((name) => quoted(name)).join(" -> ");
  problems.error(problems.locate(at.offset), "", `documents need each other's output: ${route}`);
}

/** Names of documents that stand as a value anywhere in a document, its own name aside. */
function mentions(document: Tree, named: ReadonlyMap<string, Tree>): readonly string[] {
  const found = new Set<string>();
  const visited = new Set<Tree>();
  const visit = (tree: Tree): void => {
    if (visited.has(tree)) return;
    visited.add(tree);
    if (tree.kind === "scalar") {
      if (named.has(tree.text)) found.add(tree.text);
    } else if (tree.kind === "list") tree.items.forEach(visit);
    else for (const [key, { value }] of tree.entries) if (key !== "name") visit(value);
  };
  visit(document);
  return [...found];
}

/** The first cycle, its first name repeated at the end. Depth is bounded by the document count. */
function findCycle(edges: ReadonlyMap<string, readonly string[]>): readonly string[] | null {
  const finished = new Set<string>();
  const search = (name: string, route: readonly string[]): readonly string[] | null => {
    const start = route.indexOf(name);
    if (start >= 0) return [...route.slice(start), name];
    if (finished.has(name)) return null;
    for (const next of edges.get(name) ?? []) {
      const cycle = search(next, [...route, name]);
      if (cycle !== null) return cycle;
    }
    finished.add(name);
    return null;
  };
  for (const name of edges.keys()) {
    const cycle = search(name, []);
    if (cycle !== null) return cycle;
  }
  return null;
}
