import assert from "node:assert/strict";
import { test } from "node:test";
import { runSeed } from "./run-seed.js";
import { describeBroken, pastFailures, runSeeds, seedsFrom } from "./run-seeds.js";

const SEEDS = 1_000;

test(`${SEEDS} schedules keep every promise`, () => {
  const { broken, counts } = runSeeds(seedsFrom(1, SEEDS));
  assert.equal(broken.length, 0, broken.map(describeBroken).join("\n"));
  // All kinds of schedules and of ends happened: otherwise this proves nothing.
  for (const name of ["chaos", "gray", "noise", "fair", "done", "failed", "cancelled"]) {
    assert.ok((counts[name] ?? 0) > 10, `${name}: ${counts[name]}`);
  }
});

test("schedules that once broke a promise keep it, and end soon after the last fault", () => {
  for (const seed of pastFailures()) {
    const outcome = runSeed(seed);
    assert.equal(outcome.broken, null, describeBroken(outcome));
    assert.ok(outcome.endedAtMs < 200_000, `seed ${seed} took ${outcome.endedAtMs} ms`);
  }
});

test("a seed is a schedule: it replays to the same end", () => {
  for (const seed of seedsFrom(1, 50)) assert.deepEqual(runSeed(seed), runSeed(seed));
});
