// The limits and the strictness of the YAML reader. Every bomb must be refused quickly; the time
// allowed here is generous because test machines are shared.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ALIASES_MAX, DEPTH_MAX, DOCUMENTS_MAX, readYaml, SIZE_MAX_BYTES } from "./yaml.js";

const REFUSAL_MAX_MS = 1_000;

function laughs(): string {
  const first = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n";
  const level = (index: number): string =>
    `a${index}: &a${index} [${Array(9)
      .fill(`*a${index - 1}`)
      .join(",")}]\n`;
  return first + [1, 2, 3, 4, 5, 6, 7, 8].map(level).join("");
}

const fill = (unit: string, length: number): string =>
  unit.repeat(Math.floor(length / unit.length));

const BOMBS: readonly (readonly [string, string, RegExp])[] = [
  ["100,000 nested lists", "[".repeat(100_000), /nested deeper than 64/],
  ["100,000 nested mappings", "{".repeat(100_000), /nested deeper than 64/],
  ["5,000 levels of block lists", `${"- ".repeat(5_000)}x`, /nested deeper than 64/],
  [
    "1,400 levels of block mappings",
    Array.from({ length: 1_400 }, (_, index) => `${" ".repeat(index)}a:\n`).join(""),
    /nested deeper than 64/,
  ],
  ["nine levels of aliases to aliases", laughs(), /expands to more than 100000 values/],
  [
    "many aliases of a large list",
    `a: &a [${fill("[x],", 250_000)}]\nb:\n${fill("- *a\n", 60_000)}`,
    /longer than any recipe/,
  ],
  [
    "too many aliases",
    `a: &a 1\nb: [${fill("*a,", 3 * (ALIASES_MAX + 1))}]`,
    /more than 100 aliases/,
  ],
  ["too many documents", fill("---\na\n", 6 * (DOCUMENTS_MAX + 1)), /more than 64 documents/],
  ["a long list of small values", `[${fill("1,", 900_000)}]`, /longer than any recipe/],
  ["nothing but line ends", fill("\n", 1_000_000), /longer than any recipe/],
  ["one very long text", `"${fill("\\q", 1_000_000)}"`, /a single text of more than 32 KiB/],
  ["a file over the size limit", "x".repeat(SIZE_MAX_BYTES + 1), /larger than 1 MiB/],
  ["over the size limit in bytes only", "é".repeat(SIZE_MAX_BYTES / 2 + 1), /larger than 1 MiB/],
];

for (const [name, text, message] of BOMBS) {
  test(`${name}: refused, quickly`, () => {
    const start = performance.now();
    const { documents, faults } = readYaml(text);
    const elapsedMs = performance.now() - start;
    assert.deepEqual(documents, []);
    assert.equal(faults.length, 1);
    assert.match(faults[0]?.message ?? "", message);
    assert.ok(elapsedMs < REFUSAL_MAX_MS, `took ${elapsedMs} ms`);
  });
}

test("nesting up to the limit is read", () => {
  const { documents, faults } = readYaml(`${"[".repeat(DEPTH_MAX)}${"]".repeat(DEPTH_MAX)}`);
  assert.deepEqual(faults, []);
  assert.equal(documents.length, 1);
});

const UNREADABLE: readonly (readonly [string, string, number])[] = [
  ["a NUL", "a: \0", 3],
  ["UTF-16 read as bytes", "\ufffd\ufffda\0:\0", 0],
  ["UTF-16 of the other byte order", "\ufffea", 0],
  ["an escape character", "a: \x1b[31m", 3],
  ["a lone carriage return", "a: 1\rb: 2", 4],
  ["a line separator, a line end only in YAML 1.1", "a: 1\u2028b: 2", 4],
  ["half a surrogate pair", "a: \ud800", 3],
];

for (const [name, text, offset] of UNREADABLE) {
  test(`${name}: refused where it stands`, () => {
    const { documents, faults } = readYaml(text);
    assert.deepEqual(documents, []);
    assert.equal(faults[0]?.offset, offset);
    assert.match(faults[0]?.message ?? "", /does not belong in a recipe; save the recipe as UTF-8/);
  });
}

const READABLE: readonly (readonly [string, string])[] = [
  ["a byte order mark", "\ufeffa: 1"],
  ["Windows line ends", "a:\r\n  - 1\r\n"],
  ["text outside the basic plane", "a: 😀 # 文"],
  ["document marks around one document", "---\na: 1\n...\n"],
  ["a version directive", "%YAML 1.1\n---\na: 1\n"],
];

for (const [name, text] of READABLE) {
  test(`${name}: accepted`, () => {
    const { documents, faults } = readYaml(text);
    assert.deepEqual(faults, []);
    assert.equal(documents.length, 1);
    assert.equal(documents[0]?.kind, "mapping");
  });
}

const TAGGED = ["!!python/object:os.system x", "!!js/function x", "!custom x", "!!float 1", "! x"];

for (const value of TAGGED) {
  test(`tags are refused: ${value}`, () => {
    const { faults } = readYaml(`a: ${value}`);
    assert.equal(faults[0]?.offset, 3);
    assert.match(faults[0]?.message ?? "", /tags are not part of recipes/);
  });
}

test("a syntax error is told once, at its place", () => {
  const text = "a:\n  - {b: 1\n  - c: [\n";
  const { documents, faults } = readYaml(text);
  assert.deepEqual(documents, []);
  assert.equal(faults.length, 1);
  assert.match(faults[0]?.message ?? "", /^not valid YAML: flow map/);
  assert.equal(faults[0]?.offset, text.indexOf("- c"));
});
