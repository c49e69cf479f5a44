import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { GraftError } from "@graft/proto";
import { parseModels, parseSeed, parseSize, parseThreads } from "./flags.js";

const isFlagError = (error: unknown): boolean =>
  error instanceof GraftError && error.code === "FLAG" && error.message.startsWith("--x: ");

describe("flags", () => {
  for (const [text, want] of [
    ["1048576", 1048576],
    ["512B", 512],
    ["4GiB", 4 * 2 ** 30],
    ["4gib", 4 * 2 ** 30],
    ["5GB", 5e9],
    ["1.5 GB", 1.5e9],
    ["2TiB", 2 * 2 ** 40],
    ["100kb", 100_000],
  ] as const) {
    it(`size ${text} is ${want} bytes`, () => assert.equal(parseSize("--x", text), want));
  }
  for (const text of ["", "0", "-1", "lots", "4G", "1e9", "GiB", "4 GiB x", "9999999PB"]) {
    it(`size ${JSON.stringify(text)} is refused`, () => {
      assert.throws(() => parseSize("--x", text), isFlagError);
    });
  }

  it("seeds are whole numbers of 63 bits", () => {
    assert.equal(parseSeed("--x", "0"), 0n);
    assert.equal(parseSeed("--x", "9223372036854775807"), 2n ** 63n - 1n);
    for (const text of ["9223372036854775808", "-1", "1.0", "", "0x1", "99999999999999999999"]) {
      assert.throws(() => parseSeed("--x", text), isFlagError, text);
    }
  });

  it("threads are whole numbers from 1", () => {
    assert.equal(parseThreads("--x", "64"), 64);
    for (const text of ["0", "-2", "2.5", "many", "1025"]) {
      assert.throws(() => parseThreads("--x", text), isFlagError, text);
    }
  });

  it("models map a reference to an absolute directory", () => {
    const models = parseModels("--x", ["org/a=models/a", "b=/abs=odd"], "/somewhere");
    assert.deepEqual(
      [...models],
      [
        ["org/a", "/somewhere/models/a"],
        ["b", "/abs=odd"],
      ],
    );
    for (const texts of [["org/a"], ["=dir"], ["a="], ["a=1", "a=2"]]) {
      assert.throws(() => parseModels("--x", texts, "/somewhere"), isFlagError, texts.join());
    }
  });
});
