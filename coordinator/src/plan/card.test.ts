import assert from "node:assert/strict";
import { test } from "node:test";
import type { Recipe } from "../recipe/recipe.js";
import { publishedRecipe } from "../recipe/redact.js";
import { buildCard } from "./card.js";
import { readRecipe } from "./invented-models.js";

const recipe = readRecipe(`merge_method: slerp
base_model: /private/models/base
models: [{model: /private/models/base}, {model: org/tuned}]
parameters: {t: 0.5}
`);
const label = (reference: string) =>
  reference.split("/").slice(-2).join("/").replace("models/", "");

function cardOf(of: Recipe, name: (reference: string) => string): string {
  const labels = of.references.map(({ text }) => name(text));
  const baseLabel = of.baseModel === null ? null : name(of.baseModel.text);
  return buildCard({ recipe: of, labels, baseLabel, recipeText: publishedRecipe(of, name) });
}

test("the card names method, models and recipe, and no path of this machine", () => {
  const card = cardOf(recipe, label);
  const [, frontMatter] = card.split("---\n");
  assert.equal(
    frontMatter,
    "base_model:\n- base\n- org/tuned\nlibrary_name: transformers\ntags:\n- graft\n- merge\n- mergekit\n",
  );
  assert.match(card, /^# Merged model$/m);
  assert.match(card, /Method: \[SLERP\]\(https:\S+\), with `base` as the base\./);
  assert.match(card, /```yaml\nmerge_method: slerp\n/);
  assert.doesNotMatch(card, /private/);
});

test("labels that YAML would take for something else are quoted", () => {
  for (const name of ["12", "yes", "- x", "a: b", "", "#tag", "null"]) {
    assert.ok(cardOf(recipe, () => name).includes(`\n- ${JSON.stringify(name)}\n`), name);
  }
});

test("a recipe with a fence inside cannot close the card's fence", () => {
  const text = "# ```\nmerge_method: passthrough\nmodels: [{model: a}]\n";
  const card = cardOf(readRecipe(text), (name) => name);
  assert.match(card, /````yaml\n# ```\n/);
});
