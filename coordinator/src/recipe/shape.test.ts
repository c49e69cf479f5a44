// Fields of a recipe: what each may be, and what is said where it is something else.
import assert from "node:assert/strict";
import { test } from "node:test";
import { LINEAR_MODELS, PASSTHROUGH_STACK, parsed, told } from "./sample-recipes.js";

const METHODS = "linear, slerp, passthrough, task_arithmetic, ties, dare_linear, dare_ties";
const TOP = "merge_method, models, slices, base_model, dtype, out_dtype, parameters";

test("the models form is one slice over all layers", () => {
  const recipe = parsed(LINEAR_MODELS);
  assert.equal(recipe.method, "linear");
  assert.equal(recipe.form, "models");
  assert.equal(recipe.slices.length, 1);
  assert.deepEqual(
    recipe.slices[0]?.sources.map(({ model, layerRange }) => [model.text, layerRange]),
    [
      ["org/one", null],
      ["org/two", null],
    ],
  );
});

test("the slices form keeps its ranges in order", () => {
  const recipe = parsed(PASSTHROUGH_STACK);
  assert.equal(recipe.form, "slices");
  assert.deepEqual(
    recipe.slices.map((slice) => slice.sources.map((source) => source.layerRange)),
    [[[0, 40]], [[20, 60]], [[40, 80]]],
  );
  assert.deepEqual(recipe.slices[1]?.sources[0]?.rangePosition, { line: 7, column: 18 });
});

test("null and absent are the same for optional keys", () => {
  const text =
    "merge_method: passthrough\nmodels:\n- model: a\n  parameters:\n" +
    "slices: null\nbase_model: ~\ndtype:\nparameters: {}\ntokenizer:\n";
  assert.equal(parsed(text).baseModel, null);
});

const TOPS: readonly (readonly [string, readonly string[]])[] = [
  ["- a\n- b", [`1:1: error: expected a mapping with the keys ${TOP}, got a list`]],
  ["hello", [`1:1: error: expected a mapping with the keys ${TOP}, got "hello"`]],
  ["", ["1:1: error: the recipe is empty; a recipe needs merge_method and models or slices"]],
  ["# only", ["1:1: error: the recipe is empty; a recipe needs merge_method and models or slices"]],
  ["models: [{model: a}]", [`1:1: error: merge_method: missing; the methods are: ${METHODS}`]],
  [
    "models: [{model: a}]\nmerge_metod: linear",
    [
      `1:1: error: merge_method: missing; the methods are: ${METHODS}`,
      `2:1: error: merge_metod: unknown key; did you mean "merge_method"? allowed here: ${TOP}`,
    ],
  ],
  [
    "merge_method: slurp\nmodels: [{model: a}]",
    [
      `1:15: error: merge_method: unknown method "slurp"; did you mean "slerp"? ` +
        `the methods are: ${METHODS}`,
    ],
  ],
  [
    "merge_method: model_stock\nmodels: [{model: a}]",
    [
      "1:15: error: merge_method: model_stock is not supported by this version; " +
        `the methods are: ${METHODS}`,
    ],
  ],
  [
    "merge_method: [linear]\nmodels: [{model: a}]",
    ["1:15: error: merge_method: expected text, got a list"],
  ],
  [
    "merge_method: linear",
    [
      "1:1: error: nothing to merge: models, slices or modules is needed; " +
        "list the models to merge under models",
    ],
  ],
  [
    "merge_method: linear\nmodels: []",
    ["2:9: error: models: expected a list of models, got an empty list"],
  ],
  [
    "merge_method: linear\nmodels: {model: a}",
    ["2:9: error: models: expected a list of models, got a mapping"],
  ],
  [
    "merge_method: linear\nslices: a",
    ['2:9: error: slices: expected a list of slices (each with sources), got "a"'],
  ],
  [
    "merge_method: passthrough\nmodels: [{model: a}]\n" +
      "slices: [{sources: [{model: a, layer_range: [0, 1]}]}]",
    [
      "3:1: error: only one of models, slices, modules may be given; " +
        "here are models and slices",
    ],
  ],
  [
    "merge_method: passthrough\nmodels: [a]",
    ['2:10: error: models[0]: expected a mapping with the keys model, parameters, got "a"'],
  ],
  [
    "merge_method: passthrough\nmodels: [{parameters: {}}]",
    ["2:10: error: models[0].model: missing; name a directory or org/name"],
  ],
  [
    "merge_method: passthrough\nmodels: [{model: a, layer_range: [0, 1]}]",
    ["2:21: error: models[0].layer_range: unknown key; allowed here: model, parameters"],
  ],
  [
    "merge_method: passthrough\nmodels: [{model: a, parameters: [scale]}]",
    ["2:33: error: models[0].parameters: expected a mapping of parameters, got a list"],
  ],
  [
    "merge_method: passthrough\nslices: [{}]",
    ["2:10: error: slices[0].sources: missing; list the models and layer ranges of this slice"],
  ],
  [
    "merge_method: passthrough\nslices: [{sources: []}]",
    [
      "2:20: error: slices[0].sources: expected a list of sources (model and layer_range), " +
        "got an empty list",
    ],
  ],
  [
    "merge_method: passthrough\n" +
      "slices: [{sources: [{model: a, layer_range: [0, 1]}], residual_weight: 1}]",
    [
      "2:55: error: slices[0].residual_weight: has never had an effect in the recipe language; " +
        "remove it",
    ],
  ],
];

for (const [text, lines] of TOPS) {
  test(`refused at its place: ${JSON.stringify(text)}`, () => assert.deepEqual(told(text), lines));
}

const RANGES: readonly (readonly [string, string | null])[] = [
  ["[0, 4]", null],
  ["[0.0, 4.0]", null],
  ['["0", "4"]', null],
  ["[4, 0]", ": [4, 0] is reversed; write [0, 4]"],
  ["[4, 4]", ": [4, 4] is empty; the end is not included"],
  ["[-1, 4]", ": [-1, 4] has a negative layer index; layers start at 0"],
  ["[0, 1.5]", '[1]: expected a whole number, got "1.5"'],
  ["[0, x]", '[1]: expected a number, got "x"'],
  ["[0, null]", "[1]: expected a whole number, got nothing (null)"],
  ["[false, true]", '[0]: expected a whole number, got "false"'],
  ["[0, 9007199254740993]", '[1]: "9007199254740993" is too large'],
  [
    "[0, 010]",
    '[1]: "010" is 8 in YAML 1.1 but 10 in YAML 1.2; write the number in plain decimals',
  ],
  ["[0]", ": expected two whole numbers [first, end), got 1 of them"],
  ["[0, 1, 2]", ": expected two whole numbers [first, end), got 3 of them"],
  ["4", ': expected two whole numbers [first, end), got "4"'],
  ["", ": missing; give [first, end), for example [0, 16]"],
];

for (const [range, problem] of RANGES) {
  test(`layer_range ${range} is ${problem === null ? "accepted" : "refused"}`, () => {
    const head = "merge_method: passthrough\nslices:\n- sources:\n  - model: a\n";
    const text = `${head}    layer_range: ${range}\n`;
    const path = "slices[0].sources[0].layer_range";
    const lines = told(text).map((line) => line.replace(/^\d+:\d+: /, ""));
    assert.deepEqual(lines[0], problem === null ? undefined : `error: ${path}${problem}`);
  });
}
