// Problems as text, for logs and for terminals.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Problem } from "./recipe.js";
import { formatProblem, renderProblems } from "./report.js";

const problem = (
  line: number,
  column: number,
  severity: "error" | "warning" = "error",
): Problem => ({
  severity,
  position: { line, column },
  message: "a.b: wrong",
});

test("a problem is path, place, severity and message", () => {
  assert.equal(formatProblem("dir/r.yaml", problem(3, 7)), "dir/r.yaml:3:7: error: a.b: wrong");
  assert.equal(
    formatProblem("r.yaml", { severity: "warning", position: null, message: "m" }),
    "r.yaml: warning: m",
  );
});

const plain = { colour: false };

test("rendered problems show their line and point at the column", () => {
  const rendered = renderProblems(
    "r.yaml",
    "a: 1\r\nbb: 2\n",
    [problem(1, 4), problem(2, 1)],
    plain,
  );
  assert.equal(
    rendered,
    [
      "r.yaml:1:4: error: a.b: wrong",
      "     1 | a: 1",
      "       |    ^",
      "r.yaml:2:1: error: a.b: wrong",
      "     2 | bb: 2",
      "       | ^",
      "",
    ].join("\n"),
  );
});

test("a problem without a place, or past the end, is its line alone", () => {
  const lost: Problem = { severity: "error", position: null, message: "m" };
  assert.equal(renderProblems("r", "a", [lost], plain), "r: error: m\n");
  assert.equal(renderProblems("r", "a", [problem(9, 1)], plain), "r:9:1: error: a.b: wrong\n");
});

test("the caret stays under its character in a long line", () => {
  const text = `${"x".repeat(300)}#${"y".repeat(300)}`;
  const [, line = "", caret = ""] = renderProblems("r", text, [problem(1, 301)], plain).split("\n");
  assert.ok(line.length < 120);
  assert.equal(line[caret.indexOf("^")], "#");
});

test("nothing in the recipe text reaches the terminal as a command", () => {
  const rendered = renderProblems("r", "a\u001b[31m\tb\u202e", [problem(1, 1)], plain);
  assert.equal(rendered.split("\n")[1], "     1 | a [31m b ");
});

test("colour is used only where asked for", () => {
  const sequence = "\u001b[";
  const render = (colour: boolean): string => renderProblems("r", "a", [problem(1, 1)], { colour });
  assert.ok(!render(false).includes(sequence));
  assert.ok(render(true).includes(`${sequence}31merror`));
  const warned = renderProblems("r", "a", [problem(1, 1, "warning")], { colour: true });
  assert.ok(warned.includes(`${sequence}33mwarning`));
});
