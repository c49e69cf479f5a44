// Which mistyped words get a suggestion.
import assert from "node:assert/strict";
import { test } from "node:test";
import { editDistance, nearest, suggestion } from "./spelling.js";

const DISTANCES: readonly (readonly [string, string, number])[] = [
  ["", "", 0],
  ["", "abc", 3],
  ["abc", "abc", 0],
  ["slurp", "slerp", 1],
  ["base_modle", "base_model", 1],
  ["densty", "density", 1],
  ["kitten", "sitting", 3],
  ["ab", "ba", 1],
];

for (const [a, b, distance] of DISTANCES) {
  test(`"${a}" and "${b}" are ${distance} apart, both ways`, () => {
    assert.equal(editDistance(a, b), distance);
    assert.equal(editDistance(b, a), distance);
  });
}

const KEYS = ["merge_method", "models", "slices", "base_model", "dtype", "out_dtype", "parameters"];

const NEAREST: readonly (readonly [string, string | null])[] = [
  ["merge_metod", "merge_method"],
  ["paramaters", "parameters"],
  ["Base-Model", "base_model"],
  ["model", "models"],
  ["slice", "slices"],
  ["outdtype", "out_dtype"],
  ["frobnicate", null],
  ["x", null],
  ["", null],
  ["m".repeat(1000), null],
];

for (const [word, candidate] of NEAREST) {
  test(`"${word.slice(0, 20)}" suggests ${candidate ?? "nothing"}`, () => {
    assert.equal(nearest(word, KEYS), candidate);
  });
}

test("a suggestion reads as part of a sentence, and is empty without one", () => {
  assert.equal(suggestion("densty", ["weight", "density"]), '; did you mean "density"?');
  assert.equal(suggestion("colour", ["weight", "density"]), "");
});
