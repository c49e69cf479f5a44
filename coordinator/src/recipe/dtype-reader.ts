// dtype and out_dtype: the three types a merge can be stored in, by their torch names.
import { DTYPES, Dtype, quoted } from "@graft/proto";
import { readText } from "./fields.js";
import type { Problems } from "./problems.js";
import { suggestion } from "./spelling.js";
import type { Entry } from "./tree.js";

const ACCEPTED: ReadonlyMap<string, Dtype> = new Map([
  ["bfloat16", Dtype.DTYPE_BF16],
  ["float16", Dtype.DTYPE_F16],
  ["float32", Dtype.DTYPE_F32],
]);

/** What people write elsewhere. */
const NICKNAMES: ReadonlyMap<string, string> = new Map([
  ["bf16", "bfloat16"],
  ["fp16", "float16"],
  ["f16", "float16"],
  ["half", "float16"],
  ["fp32", "float32"],
  ["f32", "float32"],
  ["float", "float32"],
]);

export function readDtype(
  problems: Problems,
  entry: Entry | undefined,
  path: string,
): Dtype | null {
  if (entry === undefined) return null;
  const name = readText(problems, entry.value, path);
  if (name === null) return null;
  const bare = name.replace(/^torch\./, "");
  const dtype = ACCEPTED.get(bare);
  if (dtype !== undefined) return dtype;
  const reason =
    bare === "int64"
      ? "int64 would destroy fractional weights;"
      : `unknown dtype ${quoted(name)}${hintFor(bare)}`;
  const names = [...ACCEPTED.keys()].join(", ");
  problems.error(problems.locate(entry.value.offset), path, `${reason} expected one of ${names}`);
  return null;
}

function hintFor(name: string): string {
  const nickname = NICKNAMES.get(name.toLowerCase());
  if (nickname !== undefined) return `; did you mean "${nickname}"?`;
  // Another real dtype is not a typing mistake.
  if (DTYPES.some((info) => info.torchName === name)) return ";";
  return suggestion(name, [...ACCEPTED.keys()]) || ";";
}
