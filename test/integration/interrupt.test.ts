// Ctrl-C, kill, two at once, --force: what is at DIR and beside it while a merge is under way.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { makeFamily, ODD_SHAPE, RECIPES } from "../support/fixtures.js";
import { waitFor } from "../support/processes.js";
import {
  hashDirectory,
  type RunningCli,
  runCli,
  startCli,
  temporaryDirectory,
  transcript,
  writeRecipe,
} from "../support/run.js";

interface Workplace {
  readonly directory: string;
  readonly recipe: string;
  readonly out: string;
}

/** Two odd-shaped models of 36 MB and a slow way to merge them, so that there is time to interrupt. */
const SLOW = { GRAFT_ISA: "scalar", GRAFT_TILE_BYTES: `${2 ** 20}` };
const SLOW_FLAGS = ["--threads", "1"];

function workplace(context: TestContext): Workplace {
  const directory = temporaryDirectory(context);
  const options = {
    shape: ODD_SHAPE,
    dtype: "BF16",
    fineTunes: 2,
    shardSizeBytesMax: 5e9,
  } as const;
  const names = makeFamily({ directory, ...options });
  const recipe = writeRecipe(directory, RECIPES.dare_ties(names));
  return { directory, recipe, out: join(directory, "merged") };
}

/** Starts a merge and returns once its first weight file lies in the work folder. */
async function startSlowly({ recipe, out }: Workplace, flags: readonly string[] = []) {
  const running = startCli(["submit", recipe, "--out", out, ...SLOW_FLAGS, ...flags], {
    env: SLOW,
  });
  const journal = join(`${out}.graft`, "journal");
  const started = await waitFor(() => existsSync(journal), ended(running));
  assert.ok(started, `ended before it began to write:\n${running.output().stderr}`);
  return running;
}

const ended = (running: RunningCli) => () => running.process.exitCode !== null;

test("Ctrl-C exits 130, says how to resume, and resume finishes the same bytes", async (context) => {
  const place = workplace(context);
  const undisturbed = join(place.directory, "undisturbed");
  const whole = await runCli(["submit", place.recipe, "--out", undisturbed]);
  assert.equal(whole.exitCode, 0, transcript(whole));
  const running = await startSlowly(place);
  running.process.kill("SIGINT");
  const interrupted = await running.done;
  assert.equal(interrupted.exitCode, 130, transcript(interrupted));
  assert.match(interrupted.stderr, /coordinator resume /);
  assert.ok(!existsSync(place.out), "something is visible at DIR");
  const resumed = await runCli(["resume", place.out]);
  assert.equal(resumed.exitCode, 0, transcript(resumed));
  assert.deepEqual(hashDirectory(place.out), hashDirectory(undisturbed));
  assert.ok(!existsSync(`${place.out}.graft`), "partial work is left");
});

test("submitting again into an interrupted output resumes by itself", async (context) => {
  const place = workplace(context);
  const running = await startSlowly(place);
  running.process.kill("SIGINT");
  assert.equal((await running.done).exitCode, 130);
  const again = await runCli(["submit", place.recipe, "--out", place.out]);
  assert.equal(again.exitCode, 0, transcript(again));
  assert.match(again.stdout + again.stderr, /resum/i);
});

test("another plan does not continue interrupted work; clean removes it", async (context) => {
  const place = workplace(context);
  const running = await startSlowly(place);
  running.process.kill("SIGINT");
  assert.equal((await running.done).exitCode, 130);
  const other = await runCli(["submit", place.recipe, "--out", place.out, "--seed", "7"]);
  assert.equal(other.exitCode, 2, transcript(other));
  assert.match(other.stderr, /seed/);
  assert.match(other.stderr, /coordinator clean/);
  const clean = await runCli(["clean", place.out]);
  assert.equal(clean.exitCode, 0, transcript(clean));
  assert.ok(!existsSync(`${place.out}.graft`));
  const fresh = await runCli(["submit", place.recipe, "--out", place.out, "--seed", "7"]);
  assert.equal(fresh.exitCode, 0, transcript(fresh));
});

test("a second submit into a DIR being written is refused and harms nothing", async (context) => {
  const place = workplace(context);
  const first = await startSlowly(place);
  // Stopped, not busy: the refusal must not depend on the holder answering.
  first.process.kill("SIGSTOP");
  try {
    const second = await runCli(["submit", place.recipe, "--out", place.out]);
    assert.equal(second.exitCode, 2, transcript(second));
    assert.match(second.stderr, new RegExp(`\\b${first.process.pid}\\b`));
  } finally {
    first.process.kill("SIGCONT");
  }
  const result = await first.done;
  assert.equal(result.exitCode, 0, transcript(result));
  assert.equal((await runCli(["verify", place.out])).exitCode, 0);
});

test("--force keeps the old DIR until the new one is verified", async (context) => {
  const place = workplace(context);
  const first = await runCli(["submit", place.recipe, "--out", place.out]);
  assert.equal(first.exitCode, 0, transcript(first));
  const old = hashDirectory(place.out);
  const flags = ["--force", "--seed", "5"];
  const running = await startSlowly(place, flags);
  running.process.kill("SIGKILL");
  await running.done;
  assert.deepEqual(hashDirectory(place.out), old, "the old output changed");
  const again = await runCli(["submit", place.recipe, "--out", place.out, ...flags]);
  assert.equal(again.exitCode, 0, transcript(again));
  assert.notDeepEqual(hashDirectory(place.out), old);
  assert.equal((await runCli(["verify", place.out])).exitCode, 0);
});
