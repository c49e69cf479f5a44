// A recipe's text before it is sent and before it is believed: the same check on both sides.
import { GraftError } from "@graft/proto/errors";
import { parseRecipe } from "../recipe/parse.js";
import type { Problem } from "../recipe/recipe.js";
import { formatProblem } from "../recipe/report.js";

export interface RecipeCheck {
  /** Errors and warnings, in text order. */
  readonly problems: readonly Problem[];
  /** RECIPE with every error; null when there is none. */
  readonly error: GraftError | null;
}

export function checkRecipe(path: string, text: string, lenient: boolean): RecipeCheck {
  const { recipe, problems } = parseRecipe(text, { lenient });
  if (recipe !== null) return { problems, error: null };
  const errors = problems.filter(({ severity }) => severity === "error");
  const texts = errors.map((problem) => formatProblem(path, problem));
  return { problems, error: new GraftError("RECIPE", { problems: texts.join("\n") }) };
}
