// Which of the donor's files travel with the output: tokenizer, generation config and whatever else
// is there. Left behind are weights, what this program writes itself, and code.

import { compareText } from "./canonical.js";
import type { ModelIndex } from "./model-index.js";
import type { NoteList } from "./problem-list.js";

const WEIGHTS = /\.(?:safetensors|bin|pt|pth|ckpt|gguf|onnx|h5|msgpack|index\.json)$/i;
const WRITTEN_HERE = new Set([
  "config.json",
  "README.md",
  "graft-manifest.json",
  "mergekit_config.yml",
  "recipe.yaml",
]);

export function sideFilesToCopy(donor: ModelIndex, notes: NoteList): string[] {
  const names = donor.model.sideFiles.map(({ name }) => name).sort(compareText);
  const code = names.filter((name) => name.endsWith(".py"));
  if (code.length > 0 && donor.config?.value.auto_map !== undefined) {
    notes.add("code", () => {
      return (
        `${donor.model.label}: code is not copied (${code.join(", ")}), but config.json names it ` +
        "in auto_map; copy it by hand if you trust it"
      );
    });
  }
  return names.filter(isCopied);
}

function isCopied(name: string): boolean {
  if (name.startsWith(".") || name.includes("/") || name.endsWith(".py")) return false;
  return !WEIGHTS.test(name) && !WRITTEN_HERE.has(name);
}
