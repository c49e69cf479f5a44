// Links that are cut, workers that stop, a coordinator that is killed: the merge ends with the bytes of
// an undisturbed run. Real processes; links are TCP proxies. GRAFT_SEED repeats the moments of a run.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { makeFamily, ODD_SHAPE, RECIPES } from "../support/fixtures.js";
import { waitFor } from "../support/processes.js";
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
import { startTcpProxy } from "../support/tcp-proxy.js";
import { startWorkerDaemon, type WorkerDaemon, workerFlags } from "../support/workers.js";

/** Long enough to be hit in the middle. */
const SLOW = { GRAFT_ISA: "scalar", GRAFT_TILE_BYTES: `${2 ** 20}` };
const LEASE_MS = 1500;
const COORDINATOR = { GRAFT_LEASE_MS: `${LEASE_MS}` };
const SHAPE = { shape: ODD_SHAPE, dtype: "BF16", fineTunes: 4, shardSizeBytesMax: 5e6 } as const;

interface Setup {
  readonly directory: string;
  readonly recipe: string;
  readonly expected: ReturnType<typeof hashDirectory>;
  readonly workers: readonly WorkerDaemon[];
}

async function setUp(context: TestContext, count: number): Promise<Setup> {
  const directory = temporaryDirectory(context);
  const recipe = writeRecipe(directory, RECIPES.dare_ties(makeFamily({ directory, ...SHAPE })));
  const alone = join(directory, "alone");
  const result = await runCli(["submit", recipe, "--out", alone]);
  assert.equal(result.exitCode, 0, transcript(result));
  const daemon = (): Promise<WorkerDaemon> => startWorkerDaemon(context, { env: SLOW });
  const workers = await Promise.all(Array.from({ length: count }, daemon));
  return { directory, recipe, expected: hashDirectory(alone), workers };
}

/** Starts a merge and waits until tasks run. */
async function begin(recipe: string, out: string, flags: readonly string[]): Promise<RunningCli> {
  const running = startCli(["submit", recipe, "--out", out, ...flags], { env: COORDINATOR });
  await waitFor(
    () => existsSync(`${out}.graft`),
    () => running.process.exitCode !== null,
  );
  await sleep(150);
  return running;
}

test("a worker that stands still longer than its lease, then goes on, changes nothing", async (context) => {
  const { directory, recipe, expected, workers } = await setUp(context, 2);
  for (const wakes of [2 * LEASE_MS, null]) {
    const out = join(directory, `out-${wakes}`);
    const running = await begin(recipe, out, workerFlags(workers));
    workers[0]?.process.kill("SIGSTOP");
    const waking = wakes === null ? running.done : sleep(wakes);
    const resumed = waking.then(() => workers[0]?.process.kill("SIGCONT"));
    const result = await running.done;
    await resumed;
    assert.equal(result.exitCode, 0, transcript(result));
    // What the late worker still writes are the same bytes in the same places.
    await sleep(300);
    assert.deepEqual(hashDirectory(out), expected, `woken after ${wakes} ms`);
  }
});

test("a link that is silent for a moment, reset, or gone for good costs only time", async (context) => {
  const { directory, recipe, expected, workers } = await setUp(context, 2);
  const [far, near] = workers as [WorkerDaemon, WorkerDaemon];
  const faults = ["silent", "reset", "gone"] as const;
  for (const fault of faults) {
    const proxy = await startTcpProxy(context, far.address);
    const out = join(directory, fault);
    const flags = ["--worker", proxy.address, "--worker", near.address];
    const running = await begin(recipe, out, flags);
    if (fault === "reset") proxy.reset();
    else proxy.cut();
    if (fault === "silent") {
      await sleep(500);
      proxy.mend();
    }
    const result = await running.done;
    assert.equal(result.exitCode, 0, `${fault}\n${transcript(result)}`);
    assert.deepEqual(hashDirectory(out), expected, fault);
  }
});

test("a coordinator that is killed at random moments continues where it was", async (context) => {
  const seed = runSeed();
  context.diagnostic(`GRAFT_SEED=${seed}`);
  const random = createRandom(seed);
  const { directory, recipe, expected, workers } = await setUp(context, 3);
  for (let round = 0; round < 5; round += 1) {
    const out = join(directory, `out-${round}`);
    const running = await begin(recipe, out, workerFlags(workers));
    await sleep(random() * 600);
    running.process.kill("SIGKILL");
    await running.done;
    if (existsSync(out)) assert.deepEqual(hashDirectory(out), expected);
    else {
      const again = await runCli(["submit", recipe, "--out", out, ...workerFlags(workers)]);
      assert.equal(again.exitCode, 0, `round ${round}, GRAFT_SEED=${seed}\n${transcript(again)}`);
    }
    assert.deepEqual(hashDirectory(out), expected, `round ${round}, GRAFT_SEED=${seed}`);
  }
});

test("one worker on a line of 20 kB/s does not hold up the others", async (context) => {
  const { directory, recipe, expected, workers } = await setUp(context, 2);
  const [far, near] = workers as [WorkerDaemon, WorkerDaemon];
  const proxy = await startTcpProxy(context, far.address);
  proxy.setBytesPerSecond(20_000);
  const out = join(directory, "out");
  const flags = ["--worker", near.address, "--worker", proxy.address];
  const result = await runCli(["submit", recipe, "--out", out, ...flags], { env: COORDINATOR });
  assert.equal(result.exitCode, 0, transcript(result));
  assert.deepEqual(hashDirectory(out), expected);
});
