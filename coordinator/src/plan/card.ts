// The output's model card. It says what was merged and how, and nothing that differs between two
// runs of one recipe: no time, host or path.
import { methodInfo } from "../recipe/methods.js";
import type { Recipe } from "../recipe/recipe.js";

export interface CardInput {
  readonly recipe: Recipe;
  /** Labels of the models in recipe order, base first when there is one. */
  readonly labels: readonly string[];
  /** Label of the base model; null when the recipe has none. */
  readonly baseLabel: string | null;
  /** Recipe text fit for publishing: labels in place of paths (publishedRecipe). */
  readonly recipeText: string;
}

/** Text of README.md. */
export function buildCard({ recipe, labels, baseLabel, recipeText }: CardInput): string {
  const { title, reference } = methodInfo(recipe.method);
  const distinct = [...new Set(labels)];
  const method = reference === null ? title : `[${title}](${reference})`;
  const base = baseLabel === null ? "" : `, with ${code(baseLabel)} as the base`;
  const fence = fenceFor(recipeText);
  return [
    "---",
    "base_model:",
    ...distinct.map((name) => `- ${yamlText(name)}`),
    "library_name: transformers",
    "tags:",
    // "mergekit" is the tag people search merged models by.
    "- graft",
    "- merge",
    "- mergekit",
    "---",
    "# Merged model",
    "",
    "The weights in this repository were computed from other models by Graft; nothing was trained.",
    "",
    "## How it was made",
    "",
    `Method: ${method}${base}.`,
    "",
    "Models:",
    "",
    ...distinct.map((name) => `- ${code(name)}`),
    "",
    "## Recipe",
    "",
    `${fence}yaml`,
    recipeText.trimEnd(),
    fence,
    "",
    "`graft-manifest.json` lists what became of every input tensor and a checksum of every file.",
    "",
  ].join("\n");
}

function code(text: string): string {
  return `\`${text.replaceAll("`", "'")}\``;
}

/** Quoted whenever a YAML reader could take the text for anything but itself. */
function yamlText(text: string): string {
  return /^[A-Za-z][\w./-]*$/.test(text) && !/^(?:true|false|yes|no|on|off|null|y|n)$/i.test(text)
    ? text
    : JSON.stringify(text);
}

/** Longer than any run of backticks inside. */
function fenceFor(text: string): string {
  const runs = text.match(/`+/g) ?? [];
  return "`".repeat(Math.max(3, ...runs.map((run) => run.length + 1)));
}
