// The typed recipe: what a valid YAML document means, with a source position on everything a later
// stage may have to complain about. Pure data; parse.ts makes it, plan/ consumes it.
// Grammar and meaning: docs in README, section "Recipes".
import type { Dtype } from "@graft/proto";

/** One-based line and column in the recipe text. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

export type Severity = "error" | "warning";

/** One thing that is wrong, or ignored under --lenient. `message` starts with the field's path. */
export interface Problem {
  readonly severity: Severity;
  readonly position: Position | null;
  readonly message: string;
}

export type MethodName =
  | "linear"
  | "slerp"
  | "passthrough"
  | "task_arithmetic"
  | "ties"
  | "dare_linear"
  | "dare_ties";

/** A number, or a gradient over the layers of a slice. */
export type SettingValue =
  | { readonly kind: "number"; readonly value: number }
  | { readonly kind: "gradient"; readonly values: readonly number[] };

/** First condition whose filter is null, "*" or a substring of the tensor name wins. */
export interface Condition {
  readonly filter: string | null;
  readonly value: SettingValue;
}

export interface Setting {
  readonly conditions: readonly Condition[];
  readonly position: Position;
}

export type Settings = ReadonlyMap<string, Setting>;

export interface ModelReference {
  /** As the recipe writes it, --model mapping not applied. */
  readonly text: string;
  readonly position: Position;
  /** Where the scalar stands in Recipe.text, quotes included, in UTF-16 units. */
  readonly offset: number;
  readonly length: number;
}

export interface Source {
  readonly model: ModelReference;
  /** [start, end); null in the models form: all layers. */
  readonly layerRange: readonly [number, number] | null;
  readonly rangePosition: Position | null;
  readonly parameters: Settings;
}

export interface Slice {
  readonly sources: readonly Source[];
  /** Overrides the recipe's base for this slice. */
  readonly baseModel: ModelReference | null;
  readonly parameters: Settings;
  readonly position: Position;
}

export interface Recipe {
  readonly method: MethodName;
  /** "models" became one slice over all layers, base appended when it was not listed. */
  readonly form: "models" | "slices";
  readonly slices: readonly Slice[];
  readonly baseModel: ModelReference | null;
  /** Storage dtype asked for: out_dtype, else dtype, else null (keep what the inputs give). */
  readonly outputDtype: Dtype | null;
  readonly parameters: Settings;
  /** Distinct references in order of first mention, base first when there is one. */
  readonly references: readonly ModelReference[];
  /** The text as given. */
  readonly text: string;
}
