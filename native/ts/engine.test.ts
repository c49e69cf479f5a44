import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { createEngine } from "./engine.js";
import { NativeError } from "./errors.js";
import { availableIsas } from "./files.js";
import { BUILT_ADDON_PATH } from "./load.js";

const MIB = 1024 * 1024;
const GOOD = { threadCount: 1, memoryBytes: 64 * MIB };

const refusals: readonly [string, Parameters<typeof createEngine>[0], RegExp][] = [
  ["no threads", { ...GOOD, threadCount: 0 }, /threadCount.*\[1, 1024\], got 0/],
  ["half a thread", { ...GOOD, threadCount: 1.5 }, /threadCount.*got 1.5/],
  ["too little memory", { ...GOOD, memoryBytes: MIB }, /memoryBytes.*got 1048576/],
  ["memory that is not a number", { ...GOOD, memoryBytes: Number.NaN }, /memoryBytes.*got NaN/],
  ["a tile that is not whole MiB", { ...GOOD, tileBytes: MIB + 1 }, /tileBytes.*got 1048577/],
  ["an empty tile", { ...GOOD, tileBytes: 0 }, /tileBytes.*got 0/],
];

for (const [name, options, want] of refusals) {
  test(`an engine with ${name} is refused before the addon is touched`, () => {
    assert.throws(
      () => createEngine(options),
      (error) => error instanceof NativeError && error.code === "FLAG" && want.test(error.message),
    );
  });
}

const skip = existsSync(BUILT_ADDON_PATH) ? false : `no ${BUILT_ADDON_PATH}; run: npm run setup`;

test("an unknown instruction set is refused with the list of known ones", { skip }, () => {
  assert.throws(() => createEngine({ ...GOOD, isa: "mmx" }), /scalar.*got \\+"mmx\\+"/);
});

test("an engine reports its instruction set and closes twice", { skip }, async () => {
  for (const isa of availableIsas()) {
    const engine = createEngine({ ...GOOD, isa });
    assert.equal(engine.isa, isa);
    assert.equal(engine.counters().readBytes, 0n);
    await engine[Symbol.asyncDispose]();
    await engine[Symbol.asyncDispose]();
  }
});
