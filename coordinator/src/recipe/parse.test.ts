// Whole recipes: published forms parse, all problems of a broken one are told together, and no text
// whatever makes the parser throw.
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseRecipe } from "./parse.js";
import {
  DARE_TIES_MODELS,
  LINEAR_MODELS,
  PASSTHROUGH_STACK,
  parsed,
  SLERP_SLICES,
  told,
} from "./sample-recipes.js";
import { evaluateSetting } from "./settings.js";

test("a published gradient-slerp recipe keeps its gradients and filters", () => {
  const recipe = parsed(SLERP_SLICES);
  const t = recipe.parameters.get("t");
  assert.ok(t !== undefined);
  const at = (name: string, place: number): number | null => evaluateSetting(t, name, place);
  assert.equal(at("model.layers.0.self_attn.q_proj.weight", 0.25), 0.5);
  assert.equal(at("model.layers.0.mlp.up_proj.weight", 1), 0);
  assert.equal(at("lm_head.weight", 0), 0.5);
  assert.equal(recipe.baseModel?.text, "org/left-7b");
  assert.equal(recipe.text, SLERP_SLICES);
});

const PUBLISHED: readonly (readonly [string, string])[] = [
  ["two models, linear", LINEAR_MODELS],
  ["a stack of slices", PASSTHROUGH_STACK],
  ["dare_ties", DARE_TIES_MODELS],
  [
    "quoted numerals, integers for booleans, torch dtypes",
    'merge_method: linear\nmodels:\n  - model: a\n    parameters: {weight: "0.25"}\n' +
      "  - model: c\n    parameters: {weight: 1}\nparameters:\n  normalize: 1\n" +
      "dtype: torch.float32\nout_dtype: torch.float32\n",
  ],
  [
    "weights at three levels",
    "merge_method: task_arithmetic\nbase_model: b\nslices:\n- sources:\n" +
      "  - model: b\n    layer_range: [0, 2]\n" +
      "  - model: x\n    layer_range: [0, 2]\n    parameters:\n      weight: 0.9\n" +
      "  - model: y\n    layer_range: [0, 2]\n  parameters:\n    weight: 0.4\n" +
      "parameters:\n  weight: 0.6\n",
  ],
  [
    "scale by filter",
    "merge_method: passthrough\nslices:\n- sources:\n  - model: a\n    layer_range: [1, 3]\n" +
      "    parameters:\n      scale:\n      - filter: o_proj\n        value: 0.0\n" +
      "      - filter: down_proj\n        value: 0.0\n      - value: 1.0\n",
  ],
  [
    "anchors and merge keys",
    "merge_method: ties\nbase_model: b\nmodels:\n- model: x\n  parameters: &p\n" +
      "    weight: 0.5\n    density: 0.5\n- model: y\n  parameters:\n    <<: *p\n    weight: 0.2\n",
  ],
  ["Windows line ends and a byte order mark", `\ufeff${LINEAR_MODELS.replaceAll("\n", "\r\n")}`],
];

for (const [name, text] of PUBLISHED) {
  test(`parses without a word: ${name}`, () => {
    assert.deepEqual(told(text), []);
    parsed(text);
  });
}

test("everything wrong is told at once, in text order", () => {
  const text = [
    "merge_method: ties",
    "base_modle: org/base",
    "models:",
    "  - model: org/one",
    "    parameters: {weight: heavy, densty: 0.5}",
    "  - model: org/one",
    "dtype: float64",
    "",
  ].join("\n");
  assert.equal(parseRecipe(text, { lenient: false }).recipe, null);
  assert.deepEqual(
    told(text).map((line) => line.split(": ").slice(0, 3).join(": ")),
    [
      "1:15: error: base_model",
      "2:1: error: base_modle",
      "5:26: error: models[0].parameters.weight",
      "5:33: error: models[0].parameters.densty",
      "6:12: error: models[1].model",
      "6:12: error: models[1].parameters.weight",
      "7:8: error: dtype",
    ],
  );
});

test("a recipe with warnings only is a recipe", () => {
  const text = `${LINEAR_MODELS}colour: blue\n`;
  assert.equal(parseRecipe(text, { lenient: false }).recipe, null);
  const { recipe, problems } = parseRecipe(text, { lenient: true });
  assert.equal(recipe?.method, "linear");
  assert.deepEqual(
    problems.map(({ severity, position }) => [severity, position?.line]),
    [["warning", 9]],
  );
});

/** A small generator of our own: Math.random cannot be replayed. */
function createRandom(seed: number): (bound: number) => number {
  let state = seed >>> 0;
  return (bound) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
}

const FRAGMENTS = [
  ...[
    "&a ",
    "*a",
    "<<: *a",
    "!!str ",
    "---\n",
    "...\n",
    "%YAML 1.1\n",
    "# ",
    "'",
    '"',
    "|\n",
    ">-\n",
  ],
  ...["[", "]", "{", "}", ",", ":", "- ", "? ", "\n", "  ", "\t", "\r\n", "\0", "\ufeff", "\u2028"],
  ...[
    "null",
    "yes",
    "012",
    "1_000",
    ".nan",
    "1e999",
    "-1",
    "[]",
    "{}",
    "__proto__: 1\n",
    "😀",
    "\ud800",
  ],
  ...["models", "slices:", "modules: {}", "tokenizer: ", "base_model: ", "layer_range: [4, 2]"],
];

function mutate(text: string, random: (bound: number) => number): string {
  const at = random(text.length + 1);
  const length = random(12);
  const fragment = FRAGMENTS[random(FRAGMENTS.length)] ?? "";
  const kind = random(4);
  if (kind === 0) return text.slice(0, at) + text.slice(at + length);
  if (kind === 1) return text.slice(0, at) + fragment + text.slice(at);
  if (kind === 2) return text.slice(0, at) + fragment + text.slice(at + length);
  const from = random(text.length + 1);
  return text.slice(0, at) + text.slice(from, from + 40) + text.slice(at);
}

const ITERATIONS = 20_000;

test("no mutation of a recipe makes the parser throw, and every answer is consistent", () => {
  const seed = Number(process.env.GRAFT_TEST_SEED ?? Date.now() % 2 ** 31);
  console.log(`seed ${seed} (replay with GRAFT_TEST_SEED=${seed})`);
  const random = createRandom(seed);
  const recipes = [SLERP_SLICES, DARE_TIES_MODELS, PASSTHROUGH_STACK, LINEAR_MODELS];
  let acceptedCount = 0;
  for (let iteration = 0; iteration < ITERATIONS; iteration += 1) {
    let text = recipes[random(recipes.length)] ?? "";
    for (let count = random(4); count >= 0; count -= 1) text = mutate(text, random);
    const lenient = random(2) === 1;
    const { recipe, problems } = parseRecipe(text, { lenient });
    const hasErrors = problems.some(({ severity }) => severity === "error");
    assert.equal(recipe === null, hasErrors, `seed ${seed}, iteration ${iteration}:\n${text}`);
    if (recipe === null) continue;
    acceptedCount += 1;
    for (const { offset, length } of recipe.references) {
      assert.ok(length > 0 && offset + length <= text.length, `seed ${seed}:\n${text}`);
    }
  }
  // Mutations that are all refused, or all accepted, would test nothing.
  assert.ok(acceptedCount > ITERATIONS / 100 && acceptedCount < ITERATIONS * 0.9);
});
