// Recipes the tests of this folder share, in the forms published model cards use.
import assert from "node:assert/strict";
import { parseRecipe } from "./parse.js";
import type { Recipe } from "./recipe.js";
import { formatProblem } from "./report.js";

/** A gradient-SLERP of two models, as most published ones are written. */
export const SLERP_SLICES = `slices:
  - sources:
      - model: org/left-7b
        layer_range: [0, 32]
      - model: org/right-7b
        layer_range: [0, 32]
merge_method: slerp
base_model: org/left-7b
parameters:
  t:
    - filter: self_attn
      value: [0, 0.5, 0.3, 0.7, 1]
    - filter: mlp
      value: [1, 0.5, 0.7, 0.3, 0]
    - value: 0.5 # fallback for rest of tensors
dtype: bfloat16
`;

export const DARE_TIES_MODELS = `models:
  - model: org/base
    # no parameters necessary for base model
  - model: org/one
    parameters:
      density: 0.53
      weight: 0.4
  - model: org/two
    parameters:
      density: [1, 0.7, 0.1]
      weight:
        - filter: mlp
          value: 0.5
        - value: 0
merge_method: dare_ties
base_model: org/base
parameters:
  int8_mask: true
dtype: bfloat16
`;

export const PASSTHROUGH_STACK = `slices:
- sources:
  - model: org/tall-70b
    layer_range: [0, 40]
- sources:
  - model: org/tall-70b
    layer_range: [20, 60]
- sources:
  - model: org/tall-70b
    layer_range: [40, 80]
merge_method: passthrough
dtype: float16
`;

export const LINEAR_MODELS = `merge_method: linear
models:
  - model: org/one
    parameters: {weight: 0.5}
  - model: org/two
    parameters: {weight: 0.5}
dtype: float32
out_dtype: bfloat16
`;

/** Every problem as `line:column: severity: message`. */
export function told(text: string, options = { lenient: false }): readonly string[] {
  return parseRecipe(text, options).problems.map((problem) =>
    formatProblem("", problem).replace(/^:/, ""),
  );
}

/** The recipe of a text that must be valid. */
export function parsed(text: string, options = { lenient: false }): Recipe {
  const { recipe } = parseRecipe(text, options);
  assert.ok(recipe !== null, told(text, options).join("\n"));
  return recipe;
}
