// model.safetensors.index.json, read as hostile text: its shard names become paths, so only plain file
// names pass, and a tensor listed twice is an error although JSON.parse would keep the last one.
import { join } from "node:path";
import { GraftError, quoted } from "@graft/proto";
import { type ModelDirectory, parseObject, readText } from "./model-directory.js";

export const INDEX_NAME = "model.safetensors.index.json";

const INDEX_BYTES_MAX = 64 * 1024 * 1024;
const NAME_BYTES_MAX = 255;
const SUFFIX = ".safetensors";
/** Printable ASCII without separators: no look-alike of a slash, no drive letter, no control character. */
const PLAIN_NAME = /^[\x20-\x2e\x30-\x39\x3b-\x5b\x5d-\x7e]+$/;

export interface ModelIndex {
  readonly path: string;
  /** Shard names in order of their names. */
  readonly shards: readonly string[];
  /** Tensor name -> shard name. */
  readonly shardOf: ReadonlyMap<string, string>;
}

/** The index of a model directory, null when there is none. MODEL_INDEX, SHARD_NAME. */
export async function readIndex(directory: ModelDirectory): Promise<ModelIndex | null> {
  const limits = { sizeBytesMax: INDEX_BYTES_MAX, code: "MODEL_INDEX" } as const;
  const bytes = await readText(directory, INDEX_NAME, limits);
  if (bytes === null) return null;
  return parseIndex(bytes.toString("utf8"), join(directory.path, INDEX_NAME));
}

export function parseIndex(text: string, path: string): ModelIndex {
  const fail = (problem: string): never => {
    throw new GraftError("MODEL_INDEX", { path, problem });
  };
  const map = parseObject(text, path, "MODEL_INDEX").weight_map;
  if (typeof map !== "object" || map === null || Array.isArray(map)) {
    return fail("weight_map: expected an object of tensor names and file names");
  }
  const repeated = findRepeatedKey(text);
  if (repeated !== undefined) return fail(`${quoted(repeated)} appears twice`);
  const shardOf = new Map<string, string>();
  for (const [tensor, shard] of Object.entries(map)) {
    if (typeof shard !== "string")
      return fail(`weight_map: ${quoted(tensor)}: expected a file name`);
    shardOf.set(tensor, shard);
  }
  if (shardOf.size === 0) return fail("weight_map is empty");
  const shards = [...new Set(shardOf.values())].sort();
  for (const shard of shards) {
    if (!isShardName(shard)) throw new GraftError("SHARD_NAME", { path, shard: quoted(shard) });
  }
  return { path, shards, shardOf };
}

export function isShardName(name: string): boolean {
  return PLAIN_NAME.test(name) && name.length <= NAME_BYTES_MAX && name.endsWith(SUFFIX);
}

/**
 * The first key that appears twice at the top or in weight_map. `text` must be valid JSON: then a
 * string followed by a colon is a key, wherever it stands, and one pass without a stack is enough.
 */
function findRepeatedKey(text: string): string | undefined {
  const topKeys = new Set<string>();
  const tensorKeys = new Set<string>();
  let topKey = "";
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (character === "{" || character === "[") depth += 1;
    else if (character === "}" || character === "]") depth -= 1;
    else if (character === '"') {
      const start = at;
      at = endOfString(text, start);
      if (depth > 2 || !isKey(text, at + 1)) continue;
      if (depth === 2 && topKey !== "weight_map") continue;
      const key: string = JSON.parse(text.slice(start, at + 1));
      const seen = depth === 1 ? topKeys : tensorKeys;
      if (seen.has(key)) return key;
      seen.add(key);
      if (depth === 1) topKey = key;
    }
  }
  return undefined;
}

/** Position of the closing quote of the string that opens at `start`. */
function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
  return at;
}

function isKey(text: string, from: number): boolean {
  let at = from;
  while (text[at] === " " || text[at] === "\n" || text[at] === "\r" || text[at] === "\t") at += 1;
  return text[at] === ":";
}
