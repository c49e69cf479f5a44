// Aliases, merge keys and duplicate keys, as trees.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Tree } from "./tree.js";
import { readYaml } from "./yaml.js";

/** Without positions; mappings as sorted [key, value] pairs, so that nothing depends on order. */
function plain(tree: Tree): unknown {
  if (tree.kind === "scalar") return tree.text;
  if (tree.kind === "list") return tree.items.map(plain);
  return [...tree.entries].map(([key, { value }]) => [key, plain(value)]).sort();
}

function read(text: string): unknown {
  const { documents, faults } = readYaml(text);
  assert.deepEqual(faults, []);
  assert.ok(documents[0] !== undefined);
  return plain(documents[0]);
}

const EQUAL: readonly (readonly [string, string, string])[] = [
  ["an alias stands for its anchor", "a: &x [1, 2]\nb: *x", "a: [1, 2]\nb: [1, 2]"],
  ["the latest anchor of a name counts", "a: &x 1\nb: &x 2\nc: *x", "a: 1\nb: 2\nc: 2"],
  [
    "a merge adds keys",
    "a: &x {p: 1, q: 2}\nb: {<<: *x, r: 3}",
    "a: {p: 1, q: 2}\nb: {p: 1, q: 2, r: 3}",
  ],
  ["own keys win over merged ones", "a: &x {p: 1}\nb: {p: 2, <<: *x}", "a: {p: 1}\nb: {p: 2}"],
  [
    "earlier merged mappings win",
    "a: &x {p: 1}\nb: &y {p: 2, q: 2}\nc: {<<: [*x, *y]}",
    "a: {p: 1}\nb: {p: 2, q: 2}\nc: {p: 1, q: 2}",
  ],
  [
    "a merged mapping may itself merge",
    "a: &x {p: 1}\nb: &y {<<: *x, q: 2}\nc: {<<: *y}",
    "a: {p: 1}\nb: {p: 1, q: 2}\nc: {p: 1, q: 2}",
  ],
];

for (const [name, given, meant] of EQUAL) {
  test(name, () => assert.deepEqual(read(given), read(meant)));
}

test("a missing value is empty", () => {
  assert.deepEqual(read("a:\nb: {c, d: }"), [
    ["a", ""],
    [
      "b",
      [
        ["c", ""],
        ["d", ""],
      ],
    ],
  ]);
});

test('a quoted "<<" is an ordinary key', () => {
  assert.deepEqual(read('"<<": {p: 1}'), [["<<", [["p", "1"]]]]);
});

test("__proto__ is a key like any other and changes no object", () => {
  assert.deepEqual(read("__proto__: {polluted: 1}\nb: {<<: {__proto__: {polluted: 1}}}"), [
    ["__proto__", [["polluted", "1"]]],
    ["b", [["__proto__", [["polluted", "1"]]]]],
  ]);
  assert.equal(Object.hasOwn(Object.prototype, "polluted"), false);
});

const FAULTS: readonly (readonly [string, string, string, number])[] = [
  ["a repeated key", "a: 1\nb: 2\na: 3", 'key "a" is given twice in one mapping; keep one', 10],
  ["a key repeated in other quotes", "a: 1\n'a': 3", 'key "a" is given twice', 5],
  ["a repeated __proto__", "__proto__: 1\n__proto__: 2", 'key "__proto__" is given twice', 13],
  ["a merge of a scalar", "<<: 1", "<<: expected a mapping", 4],
  ["an alias of nothing", "a: *x", "alias *x names no earlier anchor", 3],
  ["an alias before its anchor", "a: *x\nb: &x 1", "alias *x names no earlier anchor", 3],
  ["an alias inside its own value", "a: &x [*x]", "alias *x stands inside the value it names", 7],
  ["a merge of itself", "a: &x {<<: *x}", "alias *x stands inside the value it names", 11],
  ["a list as a key", "? [a]\n: 1", "a key must be plain text", 2],
];

for (const [name, text, message, offset] of FAULTS) {
  test(`${name} is refused where it stands`, () => {
    const { faults } = readYaml(text);
    assert.equal(faults[0]?.offset, offset);
    assert.ok(faults[0]?.message.startsWith(message), faults[0]?.message);
  });
}

test("anchored values are shared, so that walking a document costs what its size says", () => {
  const { documents } = readYaml("a: &x [1]\nb: *x");
  const [document] = documents;
  assert.ok(document?.kind === "mapping");
  assert.equal(document.entries.get("a")?.value, document.entries.get("b")?.value);
});
