// The output's config.json: the donor's text with single values replaced in place. Nothing else of
// it changes, not even the spelling of a number, because nobody but its author knows what it means.
import { type Dtype, dtypeInfo } from "@graft/proto";
import { applyEdits, type JSONPath, modify } from "jsonc-parser";
import { rebuildLayerLists } from "./layer-lists.js";
import { configScopes, type ModelConfig } from "./model-config.js";
import type { NoteList } from "./problem-list.js";
import type { LayerOrigin } from "./slices-form.js";

export interface ConfigChanges {
  /** Layers of the output, in order; null keeps the donor's depth (models form). */
  readonly origins: readonly LayerOrigin[] | null;
  /** The recipe's output dtype; null keeps what the config says. */
  readonly dtype: Dtype | null;
  /** Rows of the output's token embedding when they are not the donor's; null keeps. */
  readonly vocabularySize: number | null;
  /** The output has a head of its own although the donor's is tied. */
  readonly untie: boolean;
}

export function editConfig(config: ModelConfig, changes: ConfigChanges, notes: NoteList): string {
  let text = config.text;
  if (changes.origins !== null) {
    text = rebuildLayerLists(config, changes.origins, notes);
    if (config.layerCount === null) {
      notes.add("layer count", () => "config.json: no layer count key found; set it by hand");
    } else {
      text = setValue(text, config.layerCount.path, changes.origins.length);
    }
  }
  if (changes.dtype !== null) text = setDtype(text, config, dtypeInfo(changes.dtype).torchName);
  if (changes.vocabularySize !== null) {
    text = setEverywhere(text, config, ["vocab_size"], changes.vocabularySize);
  }
  if (changes.untie) text = untie(text, config);
  return text;
}

/** Sets the keys where they are; true when there was one. */
function setEverywhere(
  text: string,
  config: ModelConfig,
  keys: readonly string[],
  value: unknown,
): string {
  return pathsOf(config, keys).reduce((edited, path) => setValue(edited, path, value), text);
}

function pathsOf(config: ModelConfig, keys: readonly string[]): readonly string[][] {
  return configScopes(config).flatMap(({ path, value }) =>
    keys.filter((key) => Object.hasOwn(value, key)).map((key) => [...path, key]),
  );
}

function setDtype(text: string, config: ModelConfig, name: string): string {
  const keys = ["dtype", "torch_dtype"];
  return pathsOf(config, keys).length === 0
    ? setValue(text, ["dtype"], name)
    : setEverywhere(text, config, keys, name);
}

/** Absent means tied in some model classes, so the key is written even when the donor lacks it. */
function untie(text: string, config: ModelConfig): string {
  const key = "tie_word_embeddings";
  return pathsOf(config, [key]).length === 0
    ? setValue(text, [key], false)
    : setEverywhere(text, config, [key], false);
}

function setValue(text: string, path: readonly string[], value: unknown): string {
  const formattingOptions = { ...indentationOf(text), eol: "\n" };
  return applyEdits(text, modify(text, [...path] as JSONPath, value, { formattingOptions }));
}

function indentationOf(text: string): { tabSize: number; insertSpaces: boolean } {
  const indent = /\n([ \t]+)"/.exec(text)?.[1] ?? "  ";
  return { tabSize: indent.length, insertSpaces: !indent.startsWith("\t") };
}
