import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { labelReferences, looksLikeHub } from "./describe.js";

describe("model references", () => {
  for (const [text, want] of [
    ["org/name", true],
    ["mistralai/Mistral-7B-v0.1", true],
    ["./org/name", false],
    ["../name", false],
    ["/org/name", false],
    ["name", false],
    ["a/b/c", false],
    ["org/", false],
  ] as const) {
    it(`${text} ${want ? "looks" : "does not look"} like one of the hub`, () => {
      assert.equal(looksLikeHub(text), want);
    });
  }

  it("are labelled by themselves, absolute ones by as much of the path as tells them apart", () => {
    const references = ["base", "org/name", "/data/base", "/x/one/tuned", "/x/two/tuned/"];
    assert.deepEqual(
      [...labelReferences(references).values()],
      ["base", "org/name", "data/base", "tuned", "two/tuned"],
    );
  });
});
