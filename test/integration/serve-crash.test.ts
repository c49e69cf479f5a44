// kill -9 of a serving coordinator: an acknowledged job is never lost, and whatever the moment, the
// next start brings it to the bytes of an undisturbed run. GRAFT_SEED repeats the moments.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { JobState } from "@graft/proto";
import { jobEnd, startDaemon, submitRequest } from "../support/coordinators.js";
import { makeFamily, makeSmallModels, ODD_SHAPE, RECIPES } from "../support/fixtures.js";
import { createRandom, runSeed } from "../support/random.js";
import {
  hashDirectory,
  startCli,
  temporaryDirectory,
  transcript,
  writeRecipe,
} from "../support/run.js";

const SLOW = { GRAFT_ISA: "scalar", GRAFT_TILE_BYTES: `${2 ** 20}` };
const POINTS = 8;
const ACKNOWLEDGED = 20;

test("kill -9 of the coordinator at random moments costs nothing but time", async (context) => {
  const seed = runSeed();
  context.diagnostic(`GRAFT_SEED=${seed}`);
  const random = createRandom(seed);
  const directory = temporaryDirectory(context);
  const shape = { shape: ODD_SHAPE, dtype: "BF16", fineTunes: 2, shardSizeBytesMax: 5e9 } as const;
  const text = RECIPES.dare_ties(makeFamily({ directory, ...shape }));
  const recipe = writeRecipe(directory, text);
  const options = { state: join(directory, "state"), env: SLOW };

  let daemon = await startDaemon(context, options);
  const reference = join(directory, "reference");
  const startMs = performance.now();
  const first = await daemon.client.submit(submitRequest(recipe, text, reference));
  assert.equal((await jobEnd(daemon, first.jobId)).state, JobState.JOB_STATE_DONE);
  const durationMs = performance.now() - startMs;
  const expected = hashDirectory(reference);
  context.diagnostic(`undisturbed: ${durationMs.toFixed(0)} ms`);

  let interrupted = 0;
  for (let point = 0; point < POINTS; point += 1) {
    const out = join(directory, `out-${point}`);
    const delayMs = random() * durationMs;
    const label = `point ${point}: after ${delayMs.toFixed(0)} ms, GRAFT_SEED=${seed}`;
    const { jobId } = await daemon.client.submit(submitRequest(recipe, text, out));
    const watching = startCli(["watch", jobId, "--coordinator", daemon.address]);
    await sleep(delayMs);
    if (existsSync(out)) assert.deepEqual(hashDirectory(out), expected, `wrong bytes: ${label}`);
    else interrupted += 1;
    await daemon.kill();
    daemon = await startDaemon(context, { ...options, address: daemon.address });
    const { state, error } = await jobEnd(daemon, jobId);
    assert.equal(state, JobState.JOB_STATE_DONE, `${error?.message}: ${label}`);
    assert.deepEqual(hashDirectory(out), expected, label);
    assert.ok(!existsSync(`${out}.graft`), `work is left: ${label}`);
    const watched = await watching.done;
    assert.equal(watched.exitCode, 0, `${label}\n${transcript(watched)}`);
  }
  assert.ok(interrupted >= POINTS / 2, `only ${interrupted} kills hit a running merge`);
  const { jobs } = await daemon.client.list();
  assert.deepEqual(
    jobs.map(({ state }) => state),
    Array.from({ length: POINTS + 1 }, () => JobState.JOB_STATE_DONE),
  );
});

test("a job that was acknowledged survives kill -9 at that moment", async (context) => {
  const directory = temporaryDirectory(context);
  makeSmallModels(directory);
  const text = RECIPES.linear(["tuned-01"]);
  const recipe = writeRecipe(directory, text);
  const state = join(directory, "state");
  let daemon = await startDaemon(context, { state });
  const accepted: string[] = [];
  for (let round = 0; round < ACKNOWLEDGED; round += 1) {
    const request = submitRequest(recipe, text, join(directory, `out-${round}`));
    const { jobId } = await daemon.client.submit(request);
    await daemon.kill();
    accepted.push(jobId);
    daemon = await startDaemon(context, { state, address: daemon.address });
    const { jobs } = await daemon.client.list();
    assert.deepEqual(
      jobs.map((job) => job.jobId),
      accepted,
    );
    // Asked again by a client that did not hear the answer: still the same job.
    assert.equal((await daemon.client.submit(request)).jobId, jobId);
  }
  for (const [round, jobId] of accepted.entries()) {
    const { state: end, error } = await jobEnd(daemon, jobId);
    assert.equal(end, JobState.JOB_STATE_DONE, error?.message);
    assert.deepEqual(
      hashDirectory(join(directory, `out-${round}`)),
      hashDirectory(join(directory, "out-0")),
    );
  }
});
