// Many seeds, one after the other: those that break a promise, with the command that repeats each.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../support/run.js";
import { type Outcome, type Plant, runSeed } from "./run-seed.js";

export interface Tally {
  readonly seedCount: number;
  readonly broken: readonly Outcome[];
  readonly seconds: number;
  /** How the jobs of all schedules ended, and how many schedules of each kind there were. */
  readonly counts: Readonly<Record<string, number>>;
}

export function runSeeds(seeds: Iterable<number>, plant?: Plant): Tally {
  const startedMs = performance.now();
  const broken: Outcome[] = [];
  const counts: Record<string, number> = {};
  let seedCount = 0;
  for (const seed of seeds) {
    const outcome = runSeed(seed, plant);
    seedCount += 1;
    for (const name of [outcome.kind, ...outcome.ends]) counts[name] = (counts[name] ?? 0) + 1;
    if (outcome.broken !== null) broken.push(outcome);
  }
  return { seedCount, broken, seconds: (performance.now() - startedMs) / 1000, counts };
}

export function* seedsFrom(first: number, count: number): Generator<number> {
  for (let seed = first; seed < first + count; seed += 1) yield seed;
}

/** Seeds that once failed: they run in every test from then on. */
export function pastFailures(): readonly number[] {
  const path = join(ROOT, "test", "sim", "failing-seeds.json");
  const entries: readonly { readonly seed: number }[] = JSON.parse(readFileSync(path, "utf8"));
  return entries.map(({ seed }) => seed);
}

export function describeBroken({ seed, kind, broken }: Outcome): string {
  return `seed ${seed} (${kind}): ${broken}\n  again: npm run sim -- --seed ${seed}`;
}
