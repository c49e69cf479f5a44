// Collects what is wrong with a recipe, so that all of it is told at once and in text order.
import { createLocator } from "./position.js";
import type { Position, Problem, Severity } from "./recipe.js";

export interface Problems {
  locate(offset: number): Position;
  /** Makes the recipe invalid. `path` is empty for the whole recipe. */
  error(position: Position, path: string, text: string): void;
  /** Something that would have no effect: an error, or a warning when lenient. */
  ignored(position: Position, path: string, text: string): void;
  warning(position: Position, path: string, text: string): void;
  hasErrors(): boolean;
  /** In text order, each once. */
  list(): readonly Problem[];
}

/** Nobody reads more; keeps the answer to a hostile recipe small. */
const PROBLEMS_MAX = 200;

export function createProblems(text: string, lenient: boolean): Problems {
  const locate = createLocator(text);
  const found = new Map<string, Problem & { readonly position: Position }>();
  let errorCount = 0;
  let untoldCount = 0;
  const add = (severity: Severity, position: Position, path: string, body: string): void => {
    if (severity === "error") errorCount += 1;
    const message = path === "" ? body : `${path}: ${body}`;
    if (found.size >= PROBLEMS_MAX) untoldCount += 1;
    else
      found.set(`${position.line}:${position.column} ${message}`, { severity, position, message });
  };
  return {
    locate,
    error: (position, path, body) => add("error", position, path, body),
    ignored: (position, path, body) => add(lenient ? "warning" : "error", position, path, body),
    warning: (position, path, body) => add("warning", position, path, body),
    hasErrors: () => errorCount > 0,
    list: () => {
      const sorted: Problem[] = [...found.values()].sort(
        (a, b) => a.position.line - b.position.line || a.position.column - b.position.column,
      );
      if (untoldCount === 0) return sorted;
      const message = `${untoldCount} more problems are not listed`;
      return [
        ...sorted,
        { severity: errorCount > 0 ? "error" : "warning", position: null, message },
      ];
    },
  };
}
