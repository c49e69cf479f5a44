// Trees as words: paths and descriptions in messages.
import assert from "node:assert/strict";
import { test } from "node:test";
import { childPath, describe, isNull, type Tree } from "./tree.js";

const scalar = (text: string, style: "plain" | "quoted" = "plain"): Tree => ({
  kind: "scalar",
  offset: 0,
  length: text.length,
  text,
  style,
});

const PATHS: readonly (readonly [string, string | number, string])[] = [
  ["", "models", "models"],
  ["models", 3, "models[3]"],
  ["models[3]", "parameters", "models[3].parameters"],
  ["a", "two words", 'a["two words"]'],
  ["a", "dotted.key", 'a["dotted.key"]'],
  ["a", "", 'a[""]'],
  ["a", "\u001b[31m", 'a["\\u001b[31m"]'],
];

for (const [path, key, expected] of PATHS) {
  test(`the path of ${JSON.stringify(key)} under "${path}" is ${expected}`, () => {
    assert.equal(childPath(path, key), expected);
  });
}

const DESCRIPTIONS: readonly (readonly [Tree, string])[] = [
  [scalar("heavy"), '"heavy"'],
  [scalar("~"), "nothing (null)"],
  [scalar("~", "quoted"), '"~"'],
  [{ kind: "list", offset: 0, items: [] }, "an empty list"],
  [{ kind: "list", offset: 0, items: [scalar("a")] }, "a list"],
  [{ kind: "mapping", offset: 0, entries: new Map() }, "a mapping"],
];

for (const [tree, description] of DESCRIPTIONS) {
  test(`described as ${description}`, () => assert.equal(describe(tree), description));
}

test("only unquoted nulls are null", () => {
  for (const text of ["", "~", "null", "Null", "NULL"]) {
    assert.equal(isNull(scalar(text)), true);
    assert.equal(isNull(scalar(text, "quoted")), false);
  }
  assert.equal(isNull(scalar("nil")), false);
});
