// Model references: accepted forms, and the parts of the language that are refused by name.
import assert from "node:assert/strict";
import { test } from "node:test";
import { parsed, told } from "./sample-recipes.js";

const withModel = (model: string): string =>
  `merge_method: passthrough\nmodels:\n- model: ${model}\n`;

const ACCEPTED: readonly (readonly [string, string, string])[] = [
  ["org/name", "org/name", "org/name"],
  ["./a dir/model", "./a dir/model", "./a dir/model"],
  ["'it''s'", "it's", "'it''s'"],
  ['"caf\\u00e9"', "café", '"caf\\u00e9"'],
  ["&m org/name", "org/name", "org/name"],
  ["{model: org/name}", "org/name", "org/name"],
  ["{model: org/name, lora: null}", "org/name", "org/name"],
  ["{path: /models/a+b@c}", "/models/a+b@c", "/models/a+b@c"],
  ["{model: {path: org/name}}", "org/name", "org/name"],
  ['"123"', "123", '"123"'],
];

for (const [written, text, span] of ACCEPTED) {
  test(`a model may be written ${written}`, () => {
    const recipe = parsed(withModel(written));
    const [reference] = recipe.references;
    assert.equal(reference?.text, text);
    const { offset = 0, length = 0 } = reference ?? {};
    assert.equal(recipe.text.slice(offset, offset + length), span);
    assert.equal(reference?.position.line, 3);
  });
}

const AT = "models[0].model";
const LORA = "merge the adapter into its model first and name the result";
const REVISION = "download that revision and name its directory";
const LITERAL = "for a directory of that very name write {path: …}";

const REFUSED: readonly (readonly [string, string])[] = [
  ['""', `3:10: error: ${AT}: expected a model (a directory or org/name), got an empty text`],
  ["[a]", `3:10: error: ${AT}: expected a model (a directory or org/name), got a list`],
  [
    "123",
    `3:10: error: ${AT}: expected text, got "123", which YAML reads as a number; put it in quotes`,
  ],
  [
    "org/a+org/b",
    `3:10: error: ${AT}: "org/a+org/b" names a LoRA adapter (+), not supported by this version; ` +
      `${LORA}; ${LITERAL}`,
  ],
  [
    "org/a@main",
    `3:10: error: ${AT}: "org/a@main" names a revision (@), not supported by this version; ` +
      `${REVISION}; ${LITERAL}`,
  ],
  ["{model: a, lora: b}", `3:21: error: ${AT}.lora: not supported by this version; ${LORA}`],
  [
    "{model: a, override_architecture: B}",
    `3:21: error: ${AT}.override_architecture: not supported by this version; ` +
      "edit architectures in the model's config.json instead",
  ],
  [
    "{model: {path: a, revision: b}}",
    `3:28: error: ${AT}.model.revision: not supported by this version; ${REVISION}`,
  ],
  ["{}", `3:10: error: ${AT}: expected a model reference with exactly one of the keys model, path`],
  [
    "{model: a, path: b}",
    `3:10: error: ${AT}: expected a model reference with exactly one of the keys model, path`,
  ],
  ["{path: [a]}", `3:10: error: ${AT}.path: expected text`],
  ['"a\\nb"', `3:10: error: ${AT}: "a\\nb": a model reference is one line of text`],
];

for (const [written, line] of REFUSED) {
  test(`a model may not be written ${written}`, () => {
    assert.deepEqual(told(withModel(written)), [line]);
  });
}

test("text of a reference is quoted and cut in messages", () => {
  const [line = ""] = told(withModel(`"${"x".repeat(500)}\\u001b+y"`));
  assert.ok(line.length < 400 && !line.includes("\u001b"), line);
});
