// kill -9 at random points of a merge, of the coordinator or of its worker: nothing is visible at DIR
// before it is complete, and finishing the interrupted work gives the bytes of an undisturbed run.
// GRAFT_SEED repeats the points of an earlier run.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { makeFamily, ODD_SHAPE, RECIPES } from "../support/fixtures.js";
import { childrenOf, HAS_PROC, waitFor } from "../support/processes.js";
import { createRandom, runSeed } from "../support/random.js";
import {
  hashDirectory,
  type RunningCli,
  runCli,
  startCli,
  temporaryDirectory,
  transcript,
  writeRecipe,
} from "../support/run.js";

const POINTS = 20;
const SLOW = { GRAFT_ISA: "scalar", GRAFT_TILE_BYTES: `${2 ** 20}` };

const ended = (running: RunningCli) => () => running.process.exitCode !== null;

/** Kills the victim after the delay; false when the merge was over by then. */
async function kill(running: RunningCli, victim: "coordinator" | "worker"): Promise<boolean> {
  if (ended(running)()) return false;
  if (victim === "coordinator") return running.process.kill("SIGKILL");
  const [worker] = childrenOf(running.process.pid ?? 0, "worker");
  if (worker === undefined) return false;
  process.kill(worker, "SIGKILL");
  return true;
}

const skip = HAS_PROC ? false : "needs /proc to find the worker";

test("kill -9 at random points costs nothing but time", { skip }, async (context) => {
  const seed = runSeed();
  context.diagnostic(`GRAFT_SEED=${seed}`);
  const random = createRandom(seed);
  const directory = temporaryDirectory(context);
  const shape = { shape: ODD_SHAPE, dtype: "BF16", fineTunes: 3, shardSizeBytesMax: 5e9 } as const;
  const names = makeFamily({ directory, ...shape });
  const recipe = writeRecipe(directory, RECIPES.dare_ties(names));
  const submit = (out: string) => ["submit", recipe, "--out", out, "--threads", "1"];

  const reference = join(directory, "reference");
  const timed = startCli(submit(reference), { env: SLOW });
  await waitFor(() => existsSync(`${reference}.graft`), ended(timed));
  const start = performance.now();
  const whole = await timed.done;
  const durationMs = performance.now() - start;
  assert.equal(whole.exitCode, 0, transcript(whole));
  const expected = hashDirectory(reference);
  context.diagnostic(`undisturbed: ${durationMs.toFixed(0)} ms from the first file on`);

  let kills = 0;
  for (let point = 0; point < POINTS; point += 1) {
    const victim = point % 2 === 0 ? "coordinator" : "worker";
    const delayMs = random() * durationMs;
    const label = `point ${point}: ${victim} after ${delayMs.toFixed(0)} ms, GRAFT_SEED=${seed}`;
    const out = join(directory, `out-${point}`);
    const running = startCli(submit(out), { env: SLOW });
    await waitFor(() => existsSync(`${out}.graft`), ended(running));
    await sleep(delayMs);
    const complete = existsSync(out);
    if (await kill(running, victim)) kills += 1;
    if (complete) assert.deepEqual(hashDirectory(out), expected, `visible but wrong: ${label}`);
    const result = await running.done;
    if (result.exitCode !== 0) {
      if (existsSync(out)) assert.deepEqual(hashDirectory(out), expected, label);
      const resumed = await runCli(submit(out));
      // Killed after publishing: the output is there, and a second submit refuses to replace it.
      const published = existsSync(out) && resumed.exitCode === 2;
      assert.ok(resumed.exitCode === 0 || published, `${label}\n${transcript(resumed)}`);
    }
    assert.deepEqual(hashDirectory(out), expected, label);
  }
  context.diagnostic(`${kills} of ${POINTS} kills hit a running merge`);
  assert.ok(kills >= POINTS / 2, "most merges were over before they were killed");
});
