// Values of settings for a tensor: gradients, filters, levels. The gradient numbers are worked
// examples of the recipe language, not our own output.
import assert from "node:assert/strict";
import { test } from "node:test";
import { methodInfo, type ParameterInfo } from "./methods.js";
import type { Condition, Setting, Settings, SettingValue } from "./recipe.js";
import { evaluateSetting, resolveParameter, valueProblem } from "./settings.js";

const position = { line: 1, column: 1 };
const number = (value: number): SettingValue => ({ kind: "number", value });
const gradient = (...values: number[]): SettingValue => ({ kind: "gradient", values });
const condition = (filter: string | null, value: SettingValue): Condition => ({ filter, value });
const setting = (...conditions: Condition[]): Setting => ({ conditions, position });
const always = (value: SettingValue): Setting => setting(condition(null, value));

const GRADIENTS: readonly (readonly [readonly number[], readonly (readonly [number, number])[]])[] =
  [
    [
      [0.7],
      [
        [0, 0.7],
        [0.3, 0.7],
        [1, 0.7],
      ],
    ],
    [
      [0.1, 0.9],
      [
        [0, 0.1],
        [0.5, 0.5],
        [1, 0.9],
      ],
    ],
    // Five layers over [0, 1, 0.5].
    [
      [0, 1, 0.5],
      [
        [0, 0],
        [0.25, 0.5],
        [0.5, 1],
        [0.75, 0.75],
        [1, 0.5],
      ],
    ],
    [
      [0, 0.5, 0.3, 0.7, 1],
      [
        [0, 0],
        [0.25, 0.5],
        [0.5, 0.3],
        [0.75, 0.7],
        [1, 1],
      ],
    ],
  ];

for (const [values, points] of GRADIENTS) {
  for (const [t, expected] of points) {
    test(`gradient [${values.join(", ")}] is ${expected} at t = ${t}`, () => {
      assert.equal(evaluateSetting(always(gradient(...values)), "any", t), expected);
    });
  }
}

const LAYERED = setting(
  condition("self_attn", gradient(0, 1)),
  condition("layers.1", number(10)),
  condition("*", number(20)),
  condition("mlp", number(30)),
);

const FILTERED: readonly (readonly [string, number])[] = [
  ["model.layers.1.self_attn.q_proj.weight", 0.5],
  ["model.layers.1.mlp.up_proj.weight", 10],
  ["model.layers.17.mlp.up_proj.weight", 10],
  ["model.layers.2.mlp.up_proj.weight", 20],
  ["model.layers.2.SELF_ATTN.weight", 20],
  ["lm_head.weight", 20],
];

for (const [name, expected] of FILTERED) {
  test(`the first matching condition decides for ${name}`, () => {
    assert.equal(evaluateSetting(LAYERED, name, 0.5), expected);
  });
}

test("no matching condition yields nothing", () => {
  const mlpOnly = setting(condition("mlp", number(1)));
  assert.equal(evaluateSetting(mlpOnly, "model.norm.weight", 0), null);
});

test("filters are plain text, not patterns", () => {
  const dotted = setting(condition("layers.0.", number(1)), condition(".*", number(2)));
  assert.equal(evaluateSetting(dotted, "model.layers.0.mlp", 0), 1);
  assert.equal(evaluateSetting(dotted, "model.layersX0Xmlp", 0), null);
});

const parameter = (method: "linear" | "ties" | "passthrough", name: string): ParameterInfo => {
  const info = methodInfo(method).parameters.find((candidate) => candidate.name === name);
  assert.ok(info !== undefined);
  return info;
};

const levelsOf = (...levels: (readonly [string, Setting])[][]): Settings[] =>
  levels.map((level) => new Map(level));

test("the most specific level that yields a value wins", () => {
  const info = parameter("linear", "weight");
  const levels = levelsOf(
    [["weight", setting(condition("mlp", number(0.9)))]],
    [],
    [["weight", always(number(0.6))]],
  );
  assert.equal(resolveParameter(info, levels, "layers.0.mlp", 0), 0.9);
  assert.equal(resolveParameter(info, levels, "layers.0.attn", 0), 0.6);
});

test("zero is a value, not an absence", () => {
  const levels = levelsOf([["weight", always(number(0))]], [["weight", always(number(1))]]);
  assert.equal(resolveParameter(parameter("linear", "weight"), levels, "x", 0), 0);
});

test("without any value: the default, nothing where optional, missing where required", () => {
  assert.equal(resolveParameter(parameter("ties", "density"), [], "x", 0), 1);
  assert.equal(resolveParameter(parameter("ties", "normalize"), [], "x", 0), 1);
  assert.equal(resolveParameter(parameter("passthrough", "scale"), [], "x", 0), null);
  assert.equal(resolveParameter(parameter("linear", "weight"), [], "x", 0), "missing");
});

const boolean: ParameterInfo = { name: "b", scope: "global", kind: "boolean", defaultValue: 0 };
const share: ParameterInfo = { ...boolean, kind: "number", min: 0, max: 1 };
const positive: ParameterInfo = { ...boolean, kind: "number", min: 0 };
const capped: ParameterInfo = { ...boolean, kind: "number", max: 1 };
const any: ParameterInfo = { ...boolean, kind: "number" };

const VALUES: readonly (readonly [string, ParameterInfo, number, string | null])[] = [
  ["false", boolean, 0, null],
  ["true", boolean, 1, null],
  ["a fraction between false and true", boolean, 0.5, "expected true or false (1 or 0)"],
  ["a bound itself", share, 1, null],
  ["over a range", share, 1.5, "expected a number in [0, 1]"],
  ["under a minimum", positive, -0.1, "expected a number of at least 0"],
  ["far over a minimum", positive, 1e9, null],
  ["over a maximum", capped, 2, "expected a number of at most 1"],
  ["unbounded", any, -1e9, null],
];

for (const [name, info, value, problem] of VALUES) {
  test(`a value that is ${name} is ${problem === null ? "accepted" : "refused"}`, () => {
    assert.equal(valueProblem(info, value), problem);
  });
}
