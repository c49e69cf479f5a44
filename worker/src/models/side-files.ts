// The files of a model directory that are not weights in use: tokenizer, generation config, licences.
// Which of them are copied is the planner's choice; here is only what is there and readable.
import { readdir } from "node:fs/promises";
import type { SideFile } from "@graft/proto";
import { quoted } from "@graft/proto";
import { findFile, type ModelDirectory } from "./model-directory.js";

/** Notes are for reading; a directory with more oddities than this is not a model directory. */
const NOTE_COUNT_MAX = 50;
const WEIGHT_SUFFIX = /\.(safetensors|bin|pt|pth|ckpt|gguf|ggml|h5|msgpack|onnx|npz|tflite)$/i;
const WEIGHT_INDEX = /\.(safetensors|bin|h5|msgpack)\.index\.json$/i;

export interface SideFiles {
  /** In order of their names. */
  readonly files: readonly SideFile[];
  /** What was passed over and why, one line each. */
  readonly notes: readonly string[];
}

/** Lists regular files directly in the directory, without weights and their indices. */
export async function listSideFiles(
  directory: ModelDirectory,
  weightFiles: ReadonlySet<string>,
): Promise<SideFiles> {
  const names = (await readdir(directory.path)).sort();
  const files: SideFile[] = [];
  const notes: string[] = [];
  for (const name of names) {
    if (weightFiles.has(name) || WEIGHT_INDEX.test(name)) continue;
    const found = await findFile(directory, name);
    const shown = quoted(name).slice(1, -1);
    switch (found.kind) {
      case "file":
        if (WEIGHT_SUFFIX.test(name)) notes.push(`${shown}: weights that are not read`);
        else files.push({ name, sizeBytes: BigInt(found.sizeBytes) });
        break;
      case "absent":
        notes.push(`${shown}: a link to nothing, not copied`);
        break;
      case "other":
        notes.push(`${shown}: ${found.what}, not copied`);
        break;
      case "outside":
        notes.push(`${shown}: links out of the model directory, not copied`);
        break;
    }
  }
  return { files, notes: shortened(notes) };
}

function shortened(notes: readonly string[]): readonly string[] {
  if (notes.length <= NOTE_COUNT_MAX) return notes;
  return [...notes.slice(0, NOTE_COUNT_MAX), `and ${notes.length - NOTE_COUNT_MAX} more`];
}
