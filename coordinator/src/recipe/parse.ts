// Recipe text to typed recipe, or to everything that is wrong with it. Never throws, reads nothing
// but its argument, and stops early only where the text is no YAML at all.

import { createProblems, type Problems } from "./problems.js";
import type { ModelReference, Problem, Recipe, Slice } from "./recipe.js";
import { checkRules, withBase } from "./rules.js";
import { type Draft, readShape } from "./shape.js";
import { isNull } from "./tree.js";
import { refuseDocuments } from "./unsupported.js";
import { readYaml } from "./yaml.js";

export interface ParsedRecipe {
  /** Null when any problem is an error. */
  readonly recipe: Recipe | null;
  /** In text order; with `lenient`, what is ignored is here as warnings. */
  readonly problems: readonly Problem[];
}

export function parseRecipe(
  text: string,
  { lenient }: { readonly lenient: boolean },
): ParsedRecipe {
  const problems = createProblems(text, lenient);
  const draft = readDraft(problems, text);
  const recipe = draft === null || problems.hasErrors() ? null : finish(draft, text);
  return { recipe, problems: problems.list() };
}

function readDraft(problems: Problems, text: string): Draft | null {
  const { documents, faults } = readYaml(text);
  for (const { offset, message } of faults) problems.error(problems.locate(offset), "", message);
  const [document] = documents;
  if (document === undefined) return null;
  if (documents.length > 1) {
    refuseDocuments(problems, documents);
    return null;
  }
  if (isNull(document)) {
    const remedy = "a recipe needs merge_method and models or slices";
    problems.error(problems.locate(document.offset), "", `the recipe is empty; ${remedy}`);
    return null;
  }
  const draft = readShape(problems, document);
  if (draft !== null) checkRules(problems, draft);
  return draft;
}

function finish(draft: Draft, text: string): Recipe | null {
  const { method, form, baseModel, outputDtype, parameters } = draft;
  if (method === null || form === null) return null;
  const slices = withBase(draft);
  const references = distinctReferences(baseModel, slices);
  return {
    method: method.name,
    form,
    slices,
    baseModel,
    outputDtype,
    parameters,
    references,
    text,
  };
}

function distinctReferences(
  base: ModelReference | null,
  slices: readonly Slice[],
): readonly ModelReference[] {
  const found = new Map<string, ModelReference>();
  if (base !== null) found.set(base.text, base);
  for (const { model } of slices.flatMap((slice) => slice.sources)) {
    if (!found.has(model.text)) found.set(model.text, model);
  }
  return [...found.values()];
}
