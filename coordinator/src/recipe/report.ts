// Problems as text: one line each for logs and tools, or with the source line and a caret.
import colours from "picocolors";
import type { Problem } from "./recipe.js";

/** `path:line:column: error: message`; the place is left out where a problem has none. */
export function formatProblem(path: string, problem: Problem): string {
  return `${placeOf(path, problem)} ${problem.severity}: ${problem.message}`;
}

function placeOf(path: string, { position }: Problem): string {
  return position === null ? `${path}:` : `${path}:${position.line}:${position.column}:`;
}

const WIDTH_MAX = 100;

/** All problems, each with its line of `text` and a caret under the column; ends with a newline. */
export function renderProblems(
  path: string,
  text: string,
  problems: readonly Problem[],
  { colour }: { readonly colour: boolean },
): string {
  const paint = colours.createColors(colour);
  const lines = text.replace(/^\ufeff/, "").split("\n");
  const rendered = problems.map((problem) => {
    const tint = problem.severity === "error" ? paint.red : paint.yellow;
    const place = paint.bold(placeOf(path, problem));
    const head = `${place} ${tint(problem.severity)}: ${problem.message}\n`;
    const { position } = problem;
    const line = position === null ? undefined : lines[position.line - 1];
    if (position === null || line === undefined) return head;
    const margin = String(position.line).padStart(6);
    const { shown, caret } = excerpt(line, position.column);
    const pointer = `${" ".repeat(caret)}${tint("^")}`;
    return `${head}${paint.dim(`${margin} | `)}${shown}\n${paint.dim("       | ")}${pointer}\n`;
  });
  return rendered.join("");
}

/** The part of a long line around the column, with nothing in it that a terminal would obey. */
function excerpt(line: string, column: number): { readonly shown: string; readonly caret: number } {
  const start = Math.max(0, Math.min(column - WIDTH_MAX / 2, line.length - WIDTH_MAX));
  const shown = line
    .slice(start, start + WIDTH_MAX)
    .replace(/\r$/, "")
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, " ");
  return { shown, caret: column - 1 - start };
}
