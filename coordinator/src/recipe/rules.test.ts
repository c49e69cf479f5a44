// What fields demand of each other: bases, counts, ranges, repetitions, required parameters.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  DARE_TIES_MODELS,
  PASSTHROUGH_STACK,
  parsed,
  SLERP_SLICES,
  told,
} from "./sample-recipes.js";

/** One line per entry: method, base ("" for none), models, then the rest of the recipe. */
const models = (method: string, base: string, names: string, rest = ""): string => {
  const list = names.split(" ").map((name) => `- {model: ${name}}\n`);
  return `merge_method: ${method}\nbase_model: ${base}\nmodels:\n${list.join("")}${rest}\n`;
};

/** Sources as name:start-end; slices separated by "/". */
const slices = (method: string, base: string, layout: string, rest = ""): string => {
  const source = (text: string): string => {
    const [name, range = ""] = text.split(":");
    return `  - {model: ${name}, layer_range: [${range.replace("-", ", ")}]}\n`;
  };
  const list = layout
    .split(" / ")
    .map((slice) => `- sources:\n${slice.split(" ").map(source).join("")}`);
  return `merge_method: ${method}\nbase_model: ${base}\nslices:\n${list.join("")}${rest}\n`;
};

const WEIGHT = "parameters: {weight: 1}";
const T = "parameters: {t: 0.5}";

const ACCEPTED: readonly (readonly [string, string, readonly (readonly string[])[]])[] = [
  ["an unlisted base is appended for ties", models("ties", "b", "x y", WEIGHT), [["x", "y", "b"]]],
  ["a listed base is not", models("ties", "b", "b x", WEIGHT), [["b", "x"]]],
  ["ties of the base alone", models("ties", "b", "b"), [["b"]]],
  ["linear takes its base as one more input", models("linear", "b", "x", WEIGHT), [["x", "b"]]],
  ["linear needs no base", models("linear", "", "x y", WEIGHT), [["x", "y"]]],
  ["slerp with its base listed second", models("slerp", "b", "x b", T), [["x", "b"]]],
  ["slerp of one model and an unlisted base", models("slerp", "b", "x", T), [["x", "b"]]],
  ["passthrough with the same base", models("passthrough", "x", "x"), [["x"]]],
  ["slices never get a base", slices("linear", "b", "x:0-2 y:0-2", WEIGHT), [["x", "y"]]],
  ["a stack may name a base as donor", slices("passthrough", "b", "x:0-2 / y:1-3"), [["x"], ["y"]]],
  [
    "slerp slices",
    slices("slerp", "b", "b:0-2 x:0-2 / x:2-4 b:2-4", T),
    [
      ["b", "x"],
      ["x", "b"],
    ],
  ],
  [
    "a slerp slice of one source",
    slices("slerp", "b", "b:0-2 x:0-2 / x:2-4", T),
    [["b", "x"], ["x"]],
  ],
  ["a model against its own layers", slices("slerp", "b", "b:0-2 b:2-4", T), [["b", "b"]]],
];

for (const [name, text, sources] of ACCEPTED) {
  test(`accepted: ${name}`, () => {
    const recipe = parsed(text);
    assert.deepEqual(
      recipe.slices.map((slice) => slice.sources.map((source) => source.model.text)),
      sources,
    );
  });
}

const BASE_OF_SLICE =
  "the base must be a source of each slice (ties compares with it); " +
  'add "b" with layer_range [0, 2]';

const REFUSED: readonly (readonly [string, string, readonly string[]])[] = [
  [
    "ties without a base",
    models("ties", "", "x y", WEIGHT),
    [
      "1:15: error: base_model: missing; ties needs base_model, the model the others were tuned from",
    ],
  ],
  [
    "slerp without a base",
    models("slerp", "", "x y", T),
    ["1:15: error: base_model: missing; slerp needs base_model, the model that t = 0 gives"],
  ],
  [
    "slerp of three",
    models("slerp", "b", "b x y", T),
    ["6:11: error: models: slerp takes exactly two models, base_model included; got 3"],
  ],
  [
    "slerp of two with a third as base",
    models("slerp", "b", "x y", T),
    [
      "2:13: error: base_model: must be one of the two models; " +
        "with an unlisted base there are three inputs",
    ],
  ],
  [
    "slerp of the base alone",
    models("slerp", "b", "b", T),
    ["4:11: error: models: slerp takes exactly two models, base_model included; got 1"],
  ],
  [
    "passthrough of two",
    models("passthrough", "", "x y"),
    [
      "5:11: error: models: passthrough takes one model, got 2; " +
        "choose one, or stack layers of several with slices",
    ],
  ],
  [
    "passthrough with another base",
    models("passthrough", "b", "x"),
    ["2:13: error: base_model: passthrough takes one model and no other base; remove base_model"],
  ],
  [
    "a model listed twice",
    models("linear", "", "x y x", WEIGHT),
    ['6:11: error: models[2].model: "x" is already given by models[0]; keep one of them'],
  ],
  [
    "a source listed twice with one range",
    slices("linear", "", "x:0-2 x:0-2", WEIGHT),
    [
      '6:13: error: slices[0].sources[1].model: "x" with layer_range [0, 2] ' +
        "is already given by slices[0].sources[0]; keep one of them",
    ],
  ],
  [
    "unequal ranges in a slice",
    slices("linear", "", "x:0-2 y:0-3", WEIGHT),
    [
      "6:29: error: slices[0].sources[1].layer_range: [0, 3] spans 3 layers, " +
        "but [0, 2] of sources[0] spans 2; the sources of a slice need equally many layers",
    ],
  ],
  [
    "a slice without the base",
    slices("ties", "b", "b:0-2 x:0-2 / x:0-2", WEIGHT),
    [`7:3: error: slices[1].sources: ${BASE_OF_SLICE}`],
  ],
  [
    "a slerp slice of three",
    slices("slerp", "b", "b:0-2 x:0-2 y:0-2", T),
    [
      "4:3: error: slices[0].sources: slerp takes exactly two models, " +
        "base_model being one of them; got 3",
    ],
  ],
  [
    "a passthrough slice of two",
    slices("passthrough", "", "x:0-2 y:0-2"),
    ["4:3: error: slices[0].sources: passthrough takes one model; got 2"],
  ],
  [
    "a weight missing for some models",
    "merge_method: linear\nmodels:\n- {model: x, parameters: {weight: 1}}\n- {model: y}\n",
    [
      '4:11: error: models[1].parameters.weight: missing for "y"; ' +
        "linear needs the parameter weight; give it here or in the top-level parameters",
    ],
  ],
  [
    "an appended base without a weight",
    "merge_method: linear\nbase_model: b\nmodels:\n- {model: x, parameters: {weight: 1}}\n",
    [
      '2:13: error: base_model: linear takes "b" as one more input, without a weight; ' +
        "list it under models with a weight, or remove base_model",
    ],
  ],
  [
    "slerp without t",
    models("slerp", "b", "b x"),
    ["1:15: error: parameters.t: missing; slerp needs the parameter t; for example t: 0.5"],
  ],
  [
    "t in one slice only",
    slices("slerp", "b", "b:0-2 x:0-2 / b:2-4 x:2-4", "  parameters: {t: 0.5}"),
    [
      "4:3: error: slices[0].parameters.t: missing; slerp needs the parameter t " +
        "here or at the top level; for example t: 0.5",
    ],
  ],
];

for (const [name, text, lines] of REFUSED) {
  test(`refused: ${name}`, () => assert.deepEqual(told(text), lines));
}

test("a task-vector method asks no weight of its base", () => {
  assert.equal(parsed(DARE_TIES_MODELS).slices[0]?.sources[0]?.parameters.size, 0);
});

test("a slice may override the base, and then needs no top-level one", () => {
  const text =
    "merge_method: slerp\nparameters: {t: 1}\nslices:\n" +
    "- sources: [{model: x, layer_range: [0, 1]}, {model: y, layer_range: [0, 1]}]\n" +
    "  base_model: y\n";
  assert.equal(parsed(text).slices[0]?.baseModel?.text, "y");
});

test("a slice's base that no method looks at is refused, or warned about when lenient", () => {
  const text = `${PASSTHROUGH_STACK.replace("- sources", "- base_model: org/other\n  sources")}`;
  const line = "slices[0].base_model: passthrough has no base, so this has no effect; remove it";
  assert.deepEqual(told(text), [`2:15: error: ${line}`]);
  assert.deepEqual(told(text, { lenient: true }), [`2:15: warning: ${line}`]);
  parsed(text, { lenient: true });
});

test("references are listed once, the base first", () => {
  const texts = (recipe: string): readonly string[] =>
    parsed(recipe).references.map((reference) => reference.text);
  assert.deepEqual(texts(SLERP_SLICES), ["org/left-7b", "org/right-7b"]);
  assert.deepEqual(texts(DARE_TIES_MODELS), ["org/base", "org/one", "org/two"]);
  assert.deepEqual(texts(models("ties", "b", "x y", WEIGHT)), ["b", "x", "y"]);
  assert.deepEqual(texts(PASSTHROUGH_STACK), ["org/tall-70b"]);
});
