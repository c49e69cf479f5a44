// Whether an index and the headers of its shards say the same. Both directions are errors: a tensor
// the index forgets would vanish from a merge, one it invents would be looked for in vain.
import type { NativeHeader } from "@graft/native";
import { GraftError, quoted } from "@graft/proto";
import type { ModelIndex } from "./index-file.js";

/** A weight file with what its header says. */
export interface Shard {
  readonly name: string;
  readonly path: string;
  readonly header: NativeHeader;
}

/** How many names an error lists; the count is always the whole one. */
const NAME_COUNT_MAX = 5;

/** ST_DUP_NAME, INDEX_MISSING_TENSOR or INDEX_EXTRA_TENSOR, for the first shard that has one. */
export function checkIndex(index: ModelIndex, shards: readonly Shard[]): void {
  checkUnique(shards);
  const placed = namesByShard(index);
  for (const { name, header } of shards) {
    const actual = new Set(header.tensors.map((tensor) => tensor.name));
    const expected = placed.get(name) ?? new Set();
    const missing = [...actual].filter((tensor) => !expected.has(tensor));
    const extra = [...expected].filter((tensor) => !actual.has(tensor));
    const details = { path: index.path, shard: name };
    if (missing.length > 0) {
      throw new GraftError("INDEX_MISSING_TENSOR", { ...details, ...listed(missing) });
    }
    if (extra.length > 0) {
      throw new GraftError("INDEX_EXTRA_TENSOR", { ...details, ...listed(extra) });
    }
  }
}

function checkUnique(shards: readonly Shard[]): void {
  const owner = new Map<string, Shard>();
  for (const shard of shards) {
    for (const { name } of shard.header.tensors) {
      const first = owner.get(name);
      if (first !== undefined) {
        const path = `${first.path} and ${shard.name}`;
        throw new GraftError("ST_DUP_NAME", { path, tensor: quoted(name) });
      }
      owner.set(name, shard);
    }
  }
}

function namesByShard({ shardOf }: ModelIndex): ReadonlyMap<string, ReadonlySet<string>> {
  const placed = new Map<string, Set<string>>();
  for (const [tensor, shard] of shardOf) {
    const names = placed.get(shard) ?? new Set();
    names.add(tensor);
    placed.set(shard, names);
  }
  return placed;
}

function listed(tensors: readonly string[]): { count: number; names: string } {
  const names = tensors.slice(0, NAME_COUNT_MAX).map(quoted).join(", ");
  return { count: tensors.length, names };
}
