// The recipe as published beside a merge: model references become their labels, so that no path of
// the machine that ran it goes out. Everything else stays byte for byte.
import type { ModelReference, Recipe } from "./recipe.js";
import { readNew, readOld } from "./scalar.js";

export function publishedRecipe(recipe: Recipe, label: (reference: string) => string): string {
  let published = recipe.text;
  for (const reference of lastFirst(recipe)) {
    const name = label(reference.text);
    if (name === reference.text) continue;
    const { offset, length } = reference;
    const scalar = asScalar(name, recipe.text.slice(offset, offset + length));
    published = published.slice(0, offset) + scalar + published.slice(offset + length);
  }
  return published;
}

/** Every place a model is named, last first, so that earlier offsets stay true. */
function lastFirst(recipe: Recipe): readonly ModelReference[] {
  const found = new Map<number, ModelReference>();
  const add = (reference: ModelReference | null): void => {
    if (reference !== null) found.set(reference.offset, reference);
  };
  add(recipe.baseModel);
  for (const slice of recipe.slices) {
    add(slice.baseModel);
    for (const source of slice.sources) add(source.model);
  }
  return [...found.values()].sort((a, b) => b.offset - a.offset);
}

/** Unquoted only where it was and where every reader takes it for text. */
function asScalar(name: string, replaced: string): string {
  const wasPlain = !/^["'|>]/.test(replaced);
  const isText = readOld(name).kind === "text" && readNew(name).kind === "text";
  if (wasPlain && isText && /^\w[\w./-]*$/.test(name)) return name;
  // A JSON string is a double-quoted YAML scalar once what YAML cannot show is escaped.
  return JSON.stringify(name).replace(
    /[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
