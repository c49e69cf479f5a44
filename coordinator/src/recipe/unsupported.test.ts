// What the recipe language has and this version has not: refused by name, never ignored.
import assert from "node:assert/strict";
import { test } from "node:test";
import { told } from "./sample-recipes.js";

const withTop = (text: string): string =>
  `merge_method: passthrough\nmodels: [{model: a}]\n${text}\n`;

const COPIED = "remove it: the tokenizer files of base_model, else of the first model, are copied";

const REFUSED: readonly (readonly [string, readonly string[]])[] = [
  [
    "tokenizer_source: union",
    [`3:1: error: tokenizer_source: not supported by this version; ${COPIED}`],
  ],
  ["tokenizer: {}", [`3:1: error: tokenizer: not supported by this version; ${COPIED}`]],
  [
    "chat_template: chatml",
    [
      "3:1: error: chat_template: not supported by this version; " +
        "remove it and edit the chat template of the output's tokenizer",
    ],
  ],
  [
    "name: one",
    [
      "3:1: error: name: not supported by this version; " +
        "remove it: only recipes of several documents have names",
    ],
  ],
  [
    "tokenizer: {source: union}\ntokenizer_source: base",
    [
      `3:1: error: tokenizer: not supported by this version; ${COPIED}`,
      `4:1: error: tokenizer_source: not supported by this version; ${COPIED}`,
      "4:1: error: tokenizer_source: tokenizer and tokenizer_source exclude each other",
    ],
  ],
];

for (const [text, lines] of REFUSED) {
  test(`refused by name: ${text.replace("\n", " with ")}`, () => {
    assert.deepEqual(told(withTop(text)), lines);
    assert.deepEqual(told(withTop(text), { lenient: true }), lines);
  });
}

test("modules are refused by name, also beside models", () => {
  const text = "merge_method: ties\nbase_model: b\nmodules: {default: {models: [{model: a}]}}\n";
  const remedy = "not supported by this version; give models or slices at the top level";
  assert.deepEqual(told(text), [`3:1: error: modules: ${remedy}`]);
  assert.deepEqual(told(withTop("modules: {}")), [
    `3:1: error: modules: ${remedy}`,
    "3:1: error: only one of models, slices, modules may be given; here are models and modules",
  ]);
});

const TOKEN_SOURCES: readonly (readonly [string, string | null])[] = [
  ["{kind: zero}", null],
  ["{kind: model_token, model: a, token: x}", null],
  ["{kind: model_token, model: a, token_id: 7}", null],
  ["org/model", null],
  ["{model: org/model}", null],
  ["{kind: average}", '.source.kind: unknown kind "average"; the kinds are zero, model_token'],
  ["{kind: [a]}", ".source.kind: unknown kind a list; the kinds are zero, model_token"],
  ["{kind: model_token, model: a}", ".source: model_token needs one of token, token_id"],
  [
    "{kind: model_token, model: a, token: null}",
    ".source: model_token needs one of token, token_id",
  ],
  [
    "{kind: model_token, token: x, token_id: 7}",
    ".source: model_token takes only one of token, token_id",
  ],
];

for (const [source, problem] of TOKEN_SOURCES) {
  test(`a token's source ${source} is ${problem === null ? "no further problem" : "named"}`, () => {
    const [, ...further] = told(withTop(`tokenizer:\n  tokens:\n    </s>: {source: ${source}}`));
    const expected = problem === null ? [] : [`error: tokenizer.tokens["</s>"]${problem}`];
    assert.deepEqual(
      further.map((line) => line.replace(/^\d+:\d+: /, "")),
      expected,
    );
  });
}

const SEVERAL =
  "error: recipes of several documents (---) are not supported by this version; " +
  "submit them one by one, naming the output of one as a model of the next";

const document = (name: string, model: string): string =>
  `name: ${name}\nmerge_method: passthrough\nmodels:\n- model: ${model}\n`;

const DOCUMENTS: readonly (readonly [string, string, readonly string[]])[] = [
  ["a pipeline", `${document("one", "a")}---\n${document("two", "one")}`, [`6:1: ${SEVERAL}`]],
  [
    "a repeated name",
    `${document("one", "a")}---\n${document("one", "b")}`,
    [`6:1: ${SEVERAL}`, '6:7: error: name: "one" is the name of an earlier document too'],
  ],
  [
    "a cycle of two",
    `${document("one", "two")}---\n${document("two", "one")}`,
    [`1:1: error: documents need each other's output: "one" -> "two" -> "one"`, `6:1: ${SEVERAL}`],
  ],
  [
    "a document that needs itself",
    `${document("one", "one")}---\n${document("two", "a")}`,
    [`1:1: error: documents need each other's output: "one" -> "one"`, `6:1: ${SEVERAL}`],
  ],
  [
    "a cycle further on",
    [document("one", "two"), document("two", "three"), document("three", "two")].join("---\n"),
    [
      `6:1: error: documents need each other's output: "two" -> "three" -> "two"`,
      `6:1: ${SEVERAL}`,
    ],
  ],
];

for (const [name, text, lines] of DOCUMENTS) {
  test(`several documents are refused, and named: ${name}`, () => {
    assert.deepEqual([...told(text)].sort(), [...lines].sort());
  });
}
