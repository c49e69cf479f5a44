// Parameter blocks: every accepted form, every refusal with its place and its words.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Condition } from "./recipe.js";
import { parsed, told } from "./sample-recipes.js";

const withWeight = (value: string): string =>
  `merge_method: linear\nmodels:\n  - model: a\n    parameters:\n      weight: ${value}\n`;

const number = (value: number, filter: string | null = null): Condition => ({
  filter,
  value: { kind: "number", value },
});
const gradient = (values: readonly number[], filter: string | null = null): Condition => ({
  filter,
  value: { kind: "gradient", values },
});

const ACCEPTED: readonly (readonly [string, readonly Condition[]])[] = [
  ["0.5", [number(0.5)]],
  ['"0.25"', [number(0.25)]],
  ["-1", [number(-1)]],
  ["1e-3", [number(0.001)]],
  ["true", [number(1)]],
  ["no", [number(0)]],
  ["[1]", [gradient([1])]],
  ['[0, "0.5", yes, 1e-1]', [gradient([0, 0.5, 1, 0.1])]],
  ["\n        - 0\n        - 1", [gradient([0, 1])]],
  ["[{value: 1}]", [number(1)]],
  ["[{filter: mlp, value: [0, 1]}, {value: 2}]", [gradient([0, 1], "mlp"), number(2)]],
  ["[{filter: '*', value: 2}]", [number(2, "*")]],
  ["[{filter: , value: 2}]", [number(2)]],
  ['[{filter: "", value: 2}]', [number(2, "")]],
];

for (const [value, conditions] of ACCEPTED) {
  test(`a weight may be written ${value.trim()}`, () => {
    const [slice] = parsed(withWeight(value)).slices;
    const weight = slice?.sources[0]?.parameters.get("weight");
    assert.deepEqual(weight?.conditions, conditions);
    assert.equal(weight?.position.line, value.startsWith("\n") ? 6 : 5);
  });
}

const AT = "models[0].parameters.weight";

const REFUSED: readonly (readonly [string, string])[] = [
  ["heavy", `5:15: error: ${AT}: expected a number, got "heavy"`],
  ["", `5:15: error: ${AT}: expected a number, got nothing (null)`],
  ["null", `5:15: error: ${AT}: expected a number, got nothing (null)`],
  [".nan", `5:15: error: ${AT}: expected a finite number, got ".nan"`],
  ["-.inf", `5:15: error: ${AT}: expected a finite number, got "-.inf"`],
  ["[]", `5:15: error: ${AT}: expected a number or a gradient, got an empty list`],
  ["[0, [1]]", `5:19: error: ${AT}[1]: expected a number, got a list`],
  ["[0, null]", `5:19: error: ${AT}[1]: expected a number, got nothing (null)`],
  ["[0, .inf]", `5:19: error: ${AT}[1]: expected a finite number, got ".inf"`],
  ["[0, big]", `5:19: error: ${AT}[1]: expected a number, got "big"`],
  [
    "012",
    `5:15: error: ${AT}: "012" is 10 in YAML 1.1 but 12 in YAML 1.2; ` +
      "write the number in plain decimals",
  ],
  [
    "[0, {value: 1}]",
    `5:16: error: ${AT}[0]: a list holds either numbers or conditions, got "0" among conditions`,
  ],
  [
    "{filter: mlp, value: 1}",
    `5:15: error: ${AT}: a condition must stand in a list; write it as - filter: … value: …`,
  ],
  [
    "{a: 1}",
    `5:15: error: ${AT}: expected a number, a gradient or a list of conditions, got a mapping`,
  ],
  [
    "[{filter: mlp}]",
    `5:16: error: ${AT}[0].value: missing; a condition needs a value (number or gradient)`,
  ],
  [
    "[{value: []}]",
    `5:24: error: ${AT}[0].value: expected a number or a gradient, got an empty list`,
  ],
  ["[{value: [{value: 1}]}]", `5:25: error: ${AT}[0].value[0]: expected a number, got a mapping`],
  [
    "[{value: 1, filter: 1}]",
    `5:35: error: ${AT}[0].filter: expected text, got "1", which YAML reads as a number; ` +
      "put it in quotes",
  ],
  ["[{value: 1, filter: [a]}]", `5:35: error: ${AT}[0].filter: expected text, got a list`],
  [
    "[{value: 1, filtre: a}]",
    `5:27: error: ${AT}[0].filtre: unknown key; did you mean "filter"? ` +
      "allowed here: value, filter",
  ],
];

for (const [value, line] of REFUSED) {
  test(`a weight may not be ${value === "" ? "left out" : value}`, () => {
    assert.deepEqual(told(withWeight(value)), [line]);
  });
}

test("a condition behind one that matches everything is warned about, not refused", () => {
  const text = withWeight("[{value: 1}, {filter: mlp, value: 2}]");
  assert.equal(parsed(text).slices.length, 1);
  assert.deepEqual(told(text), [
    `5:28: warning: ${AT}[1]: never used: an earlier condition already matches every tensor`,
  ]);
});

const ties = (top: string, ofModel: string): string =>
  `merge_method: ties\nbase_model: b\nmodels:\n  - model: a\n    parameters: {${ofModel}}\n` +
  `parameters: {${top}}\n`;

const TAKES = "ties takes: weight, density, normalize, rescale, lambda, int8_mask";
const WHERE = "models[0].parameters";

const NAMES: readonly (readonly [string, string, string])[] = [
  [
    "",
    "weight: 1, densty: 1",
    `5:29: error: ${WHERE}.densty: unknown parameter; did you mean "density"? ${TAKES}`,
  ],
  ["", "weight: 1, colour: 1", `5:29: error: ${WHERE}.colour: unknown parameter; ${TAKES}`],
  [
    "t: 1",
    "weight: 1",
    `6:14: error: parameters.t: unknown parameter: "t" is one of slerp, not of ties; ${TAKES}`,
  ],
  [
    "",
    "weight: 1, lambda: 2",
    `5:29: error: ${WHERE}.lambda: "lambda" is a global parameter of ties: ` +
      "it does not belong under a model; move it to the top-level parameters",
  ],
  [
    "",
    "weight: 1, density: -0.1",
    `5:38: error: ${WHERE}.density: expected a number of at least 0, got "-0.1"`,
  ],
  [
    "normalize: 0.5",
    "weight: 1",
    '6:25: error: parameters.normalize: expected true or false (1 or 0), got "0.5"',
  ],
  [
    "normalize: [0, 0.5]",
    "weight: 1",
    '6:29: error: parameters.normalize[1]: expected true or false (1 or 0), got "0.5"',
  ],
];

for (const [top, ofModel, line] of NAMES) {
  test(`ties with {${top}} and {${ofModel}} on a model is refused`, () => {
    assert.deepEqual(told(ties(top, ofModel)), [line]);
  });
}

test("a per-model parameter may stand at any level, and density may exceed 1", () => {
  assert.deepEqual(told(ties("weight: 1, density: 1.5, normalize: [1, 1]", "")), []);
});

test("lenient turns what would have no effect into warnings and leaves it out", () => {
  const text = ties("colour: 1", "weight: 1, lambda: 2");
  const recipe = parsed(text, { lenient: true });
  assert.deepEqual([...recipe.parameters.keys()], []);
  assert.deepEqual([...(recipe.slices[0]?.sources[0]?.parameters.keys() ?? [])], ["weight"]);
  assert.deepEqual(
    told(text, { lenient: true }).map((line) => line.split(":").slice(0, 3).join(":")),
    ["5:29: warning", "6:14: warning"],
  );
});

test("lenient does not excuse values that cannot be read", () => {
  assert.match(told(withWeight("heavy"), { lenient: true })[0] ?? "", /error: .*"heavy"/);
});
