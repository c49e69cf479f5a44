// The list of problems: order, lenience, repetition, bound.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createProblems } from "./problems.js";

const at = (line: number, column: number) => ({ line, column });

test("problems come in text order, each once", () => {
  const problems = createProblems("", false);
  problems.error(at(2, 1), "b", "second");
  problems.error(at(1, 5), "a", "first");
  problems.error(at(2, 1), "b", "second");
  problems.error(at(1, 5), "", "no path");
  assert.deepEqual(
    problems.list().map(({ message }) => message),
    ["a: first", "no path", "b: second"],
  );
});

test("what is ignored is an error, and only a warning when lenient", () => {
  for (const lenient of [false, true]) {
    const problems = createProblems("", lenient);
    problems.ignored(at(1, 1), "a", "unknown");
    assert.equal(problems.list()[0]?.severity, lenient ? "warning" : "error");
    assert.equal(problems.hasErrors(), !lenient);
  }
});

test("warnings alone leave a recipe valid", () => {
  const problems = createProblems("", false);
  problems.warning(at(1, 1), "a", "odd");
  assert.equal(problems.hasErrors(), false);
});

test("a flood of problems is cut, and says by how many", () => {
  const problems = createProblems("", false);
  for (let line = 1; line <= 1_000; line += 1) problems.error(at(line, 1), "", `wrong ${line}`);
  const list = problems.list();
  assert.equal(list.length, 201);
  assert.deepEqual(list.at(-1), {
    severity: "error",
    position: null,
    message: "800 more problems are not listed",
  });
});
