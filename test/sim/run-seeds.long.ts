// A hundred thousand schedules, most of which nobody has run before: the first seed is the day's.
import assert from "node:assert/strict";
import { test } from "node:test";
import { runSeed as seedOfThisRun } from "../support/random.js";
import { describeBroken, runSeeds, seedsFrom } from "./run-seeds.js";

const SEEDS = 100_000;

test(`${SEEDS} schedules keep every promise`, () => {
  const { broken, seedCount, seconds } = runSeeds(seedsFrom(seedOfThisRun(), SEEDS));
  console.log(`${seedCount} schedules, ${Math.round(seedCount / seconds)} a second`);
  const first = broken.slice(0, 10).map(describeBroken).join("\n");
  assert.equal(broken.length, 0, `${first}\nadd what is fixed to test/sim/failing-seeds.json`);
});
