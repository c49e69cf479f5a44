// The few things planning reads from config.json. Everything else in it is carried over as text.
import { type ParseError, parse } from "jsonc-parser";

export type JsonObject = Readonly<Record<string, unknown>>;

export interface ModelConfig {
  readonly text: string;
  readonly value: JsonObject;
  readonly architectures: readonly string[] | null;
  readonly layerCount: LayerCount | null;
  readonly hiddenSize: { readonly key: string; readonly value: number } | null;
  /** The weights are stored in a form arithmetic must not touch (GPTQ, AWQ, FP8 …). */
  readonly isQuantised: boolean;
}

export interface LayerCount {
  readonly path: readonly string[];
  readonly value: number;
}

const LAYER_COUNT_KEYS = ["num_hidden_layers", "n_layer", "n_layers", "num_layers"];
const HIDDEN_SIZE_KEYS = ["hidden_size", "n_embd", "d_model"];
/** Where a multimodal model keeps what describes its language model. */
const SCOPES: readonly (readonly string[])[] = [[], ["text_config"]];

/** null when the text is not a JSON object. Infinity and NaN, which Python writes, are tolerated. */
export function parseModelConfig(text: string): ModelConfig | null {
  const errors: ParseError[] = [];
  const value: unknown = parse(text, errors, { disallowComments: true });
  if (!isObject(value)) return null;
  const layerCount = firstNumber(value, LAYER_COUNT_KEYS);
  const hiddenSize = firstNumber(value, HIDDEN_SIZE_KEYS);
  return {
    text,
    value,
    architectures: isTextList(value.architectures) ? value.architectures : null,
    layerCount,
    hiddenSize:
      hiddenSize === null ? null : { key: hiddenSize.path.join("."), value: hiddenSize.value },
    isQuantised: isObject(value.quantization_config),
  };
}

/** The objects that may hold a key of the language model, outermost first. */
export function configScopes(
  config: ModelConfig,
): { readonly path: readonly string[]; readonly value: JsonObject }[] {
  return SCOPES.flatMap((path) => {
    const value = valueAt(config.value, path);
    return isObject(value) ? [{ path, value }] : [];
  });
}

export function valueAt(value: unknown, path: readonly string[]): unknown {
  let current = value;
  for (const key of path) {
    if (!isObject(current) || !Object.hasOwn(current, key)) return undefined;
    current = current[key];
  }
  return current;
}

function firstNumber(root: JsonObject, keys: readonly string[]): LayerCount | null {
  for (const scope of SCOPES) {
    for (const key of keys) {
      const path = [...scope, key];
      const value = valueAt(root, path);
      if (typeof value === "number" && Number.isSafeInteger(value)) return { path, value };
    }
  }
  return null;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isTextList(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}
