// Ten million hostile headers, with sanitizers watching. Slow: minutes.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { ROOT } from "../support/run.js";

const RUNS = 10_000_000;

const hasClang = spawnSync("clang++", ["--version"]).status === 0;
const skip = hasClang ? false : "needs clang++ for libFuzzer";

test("ten million fuzzed headers break no invariant of the reader", { skip }, () => {
  const script = join(ROOT, "deploy", "local", "fuzz.mjs");
  const result = spawnSync(process.execPath, [script, "--runs", `${RUNS}`], { encoding: "utf8" });
  assert.equal(result.status, 0, `${result.stdout}\n${result.stderr}`.slice(-5000));
  assert.match(result.stderr, /stat::number_of_executed_units/);
});
