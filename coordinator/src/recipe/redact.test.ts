// The published recipe: references replaced in place, everything else untouched.
import assert from "node:assert/strict";
import { test } from "node:test";
import { publishedRecipe } from "./redact.js";
import { parsed, SLERP_SLICES } from "./sample-recipes.js";

const baseName = (reference: string): string =>
  reference.startsWith("/") ? reference.slice(reference.lastIndexOf("/") + 1) : reference;

const CASES: readonly (readonly [string, string, string])[] = [
  ["a plain path", "/data/models/a", "a"],
  ["a path with a comment after it", "/data/a # mine: /data/a", "a # mine: /data/a"],
  ["a double-quoted path", '"/data/a"', '"a"'],
  ["a single-quoted path", "'/data/it''s'", '"it\'s"'],
  ["a quoted path with escapes", '"/data/caf\\u00e9"', '"café"'],
  ["an anchored path", "&m /data/a", "&m a"],
  ["the mapping form", "{model: /data/a}", "{model: a}"],
  ["a literal path", "{path: /data/a+b}", '{path: "a+b"}'],
  ["a name that reads as a number", "/data/1.5", '"1.5"'],
  ["a name that reads as a boolean", "/data/on", '"on"'],
  ["a name with a colon", "/data/a:b", '"a:b"'],
  ["a hub reference", "org/name", "org/name"],
  ["a relative path", "../a", "../a"],
];

for (const [name, written, published] of CASES) {
  test(`${name} is published by its label`, () => {
    const text = (model: string): string =>
      `# recipe\r\nmerge_method: passthrough\nmodels:\n  - model: ${model}\ndtype:   float16\n`;
    const result = publishedRecipe(parsed(text(written)), baseName);
    assert.equal(result, text(published));
    const [before] = parsed(text(written)).references;
    const [after] = parsed(result).references;
    assert.equal(after?.text, baseName(before?.text ?? ""));
  });
}

test("every mention is replaced, aliases and bases included", () => {
  const text = (base: string, other: string): string =>
    `merge_method: slerp\nbase_model: &b ${base}\nparameters: {t: 0.5}\nslices:\n` +
    `- sources: [{model: *b, layer_range: [0, 1]}, {model: ${other}, layer_range: [0, 1]}]\n` +
    `- sources: [{model: ${base}, layer_range: [1, 2]}, {model: ${other}, layer_range: [1, 2]}]\n` +
    `  base_model: ${other}\n`;
  const recipe = parsed(text("/x/long/base", "/y/other"));
  assert.equal(publishedRecipe(recipe, baseName), text("base", "other"));
});

test("an appended base is replaced once", () => {
  const text = (base: string): string =>
    `merge_method: ties\nbase_model: ${base}\nmodels: [{model: x}]\nparameters: {weight: 1}\n`;
  assert.equal(publishedRecipe(parsed(text("/x/base")), baseName), text("base"));
});

test("without a changed label the text is the same, byte for byte", () => {
  assert.equal(
    publishedRecipe(parsed(SLERP_SLICES), (reference) => reference),
    SLERP_SLICES,
  );
});
