// What scalars mean: the expected numbers are those of a YAML 1.1 reader followed by text-to-number
// conversion; where YAML 1.2 disagrees, the refusal must name both readings.
import assert from "node:assert/strict";
import { test } from "node:test";
import { readNew, readNumber, readOld, textProblem } from "./scalar.js";
import type { Scalar } from "./tree.js";

const scalar = (text: string, style: Scalar["style"] = "plain"): Scalar => ({
  kind: "scalar",
  offset: 0,
  length: text.length,
  text,
  style,
});

const NUMBERS: readonly (readonly [string, number])[] = [
  ["0", 0],
  ["-0", 0],
  ["00", 0],
  ["12", 12],
  ["+12", 12],
  ["-3", -3],
  ["0.5", 0.5],
  [".5", 0.5],
  ["-.5", -0.5],
  ["+.5", 0.5],
  ["5.", 5],
  ["1e-3", 0.001],
  ["1e3", 1000],
  ["1.5e3", 1500],
  ["1.5E+3", 1500],
  ["0x1F", 31],
  ["9007199254740993", 9007199254740992],
  ["true", 1],
  ["False", 0],
  ["yes", 1],
  ["No", 0],
  ["on", 1],
  ["OFF", 0],
];

for (const [text, value] of NUMBERS) {
  test(`unquoted ${text} is the number ${value}`, () => {
    assert.deepEqual(readNumber(scalar(text)), { value, problem: null });
  });
}

const AMBIGUOUS: readonly (readonly [string, string, string])[] = [
  ["012", "10", "12"],
  ["-017", "-15", "-17"],
  ["1_000", "1000", "text"],
  ["1_0.5", "10.5", "text"],
  ["1:30", "90", "text"],
  ["-1:30", "-90", "text"],
  ["190:20:30.15", "685230.15", "text"],
  ["0b11", "3", "text"],
  ["0o14", "text", "12"],
  ["-0x1F", "-31", "text"],
];

for (const [text, older, newer] of AMBIGUOUS) {
  test(`unquoted ${text} is refused, naming ${older} and ${newer}`, () => {
    const { value, problem } = readNumber(scalar(text));
    assert.equal(value, null);
    assert.ok(problem?.startsWith(`"${text}" is ${older} in YAML 1.1 but ${newer} in YAML 1.2;`));
  });
}

const QUOTED: readonly (readonly [string, number])[] = [
  ["0.5", 0.5],
  [" 0.5 ", 0.5],
  ["012", 12],
  ["1e-3", 0.001],
  ["-.5", -0.5],
];

for (const [text, value] of QUOTED) {
  test(`quoted "${text}" is the number ${value}`, () => {
    assert.deepEqual(readNumber(scalar(text, "quoted")), { value, problem: null });
    assert.deepEqual(readNumber(scalar(`${text}\n`, "block")), { value, problem: null });
  });
}

const NOT_NUMBERS: readonly (readonly [string, Scalar["style"], string])[] = [
  ["heavy", "plain", 'expected a number, got "heavy"'],
  ["", "plain", 'expected a number, got ""'],
  ["inf", "plain", 'expected a number, got "inf"'],
  ["nan", "quoted", 'expected a number, got "nan"'],
  ["true", "quoted", 'expected a number, got "true"'],
  ["0x1F", "quoted", 'expected a number, got "0x1F"'],
  ["0.1.2", "plain", 'expected a number, got "0.1.2"'],
  ["2024-01-01", "plain", 'expected a number, got "2024-01-01"'],
  [".inf", "plain", 'expected a finite number, got ".inf"'],
  ["-.Inf", "plain", 'expected a finite number, got "-.Inf"'],
  [".nan", "plain", 'expected a finite number, got ".nan"'],
  ["1e999", "plain", 'expected a finite number, got "1e999"'],
];

for (const [text, style, problem] of NOT_NUMBERS) {
  test(`${style} ${text === "" ? "nothing" : text} is no number`, () => {
    assert.deepEqual(readNumber(scalar(text, style)), { value: null, problem });
  });
}

test("numerals of absurd length are text, quickly", () => {
  const digits = "1".repeat(100_000);
  assert.deepEqual(readOld(digits), { kind: "text" });
  assert.deepEqual(readNew(digits), { kind: "text" });
  assert.equal(readNumber(scalar(digits)).value, null);
});

const TEXTS: readonly (readonly [string, Scalar["style"], string | null])[] = [
  ["org/model", "plain", null],
  ["layers.1.", "plain", null],
  ["y", "plain", null],
  ["1e5", "plain", null],
  ["123", "quoted", null],
  ["123", "plain", 'expected text, got "123", which YAML reads as a number; put it in quotes'],
  ["1.", "plain", 'expected text, got "1.", which YAML reads as a number; put it in quotes'],
  ["on", "plain", 'expected text, got "on", which YAML reads as a boolean; put it in quotes'],
  [
    "2024-01-01",
    "plain",
    'expected text, got "2024-01-01", which YAML reads as a date; put it in quotes',
  ],
  ["~", "plain", "expected text, got nothing (null)"],
];

for (const [text, style, problem] of TEXTS) {
  test(`${style} ${text} ${problem === null ? "is" : "is not"} text`, () => {
    assert.equal(textProblem(scalar(text, style)), problem);
  });
}
