import assert from "node:assert/strict";
import { test } from "node:test";
import { PLANTED_BUGS } from "./planted-bugs.js";
import { runSeed } from "./run-seed.js";
import { seedsFrom } from "./run-seeds.js";

const SEEDS_MAX = 200;

for (const [bug, plant] of PLANTED_BUGS) {
  test(`a fleet that ${bug} is found out within ${SEEDS_MAX} schedules`, (t) => {
    for (const seed of seedsFrom(1, SEEDS_MAX)) {
      const { broken } = runSeed(seed, plant);
      if (broken === null) continue;
      t.diagnostic(`seed ${seed}: ${broken}`);
      return;
    }
    assert.fail("not found");
  });
}
