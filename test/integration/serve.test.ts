// A coordinator that serves, and the commands that talk to it: each a process of its own, over
// loopback.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { GraftError, JobState } from "@graft/proto";
import {
  type Daemon,
  type DaemonOptions,
  jobEnd,
  journalOf,
  startDaemon,
  submitRequest,
  within,
} from "../support/coordinators.js";
import { makeFamily, makeSmallModels, ODD_SHAPE, RECIPES } from "../support/fixtures.js";
import {
  type CliResult,
  hashDirectory,
  runCli,
  startCli,
  temporaryDirectory,
  transcript,
  writeRecipe,
} from "../support/run.js";
import { startWorkerDaemon } from "../support/workers.js";

interface Place {
  readonly directory: string;
  readonly recipe: string;
  readonly text: string;
  readonly out: string;
  readonly state: string;
}

const SLOW = { GRAFT_ISA: "scalar", GRAFT_TILE_BYTES: `${2 ** 20}` };

function place(directory: string, text: string): Place {
  const recipe = writeRecipe(directory, text);
  return { directory, recipe, text, out: join(directory, "out"), state: join(directory, "state") };
}

function smallPlace(context: TestContext): Place {
  const directory = temporaryDirectory(context);
  makeSmallModels(directory);
  return place(directory, RECIPES.slerp(["tuned-01"]));
}

/** A merge that takes longer than several commands do on a busy machine. */
function slowPlace(context: TestContext): Place {
  const directory = temporaryDirectory(context);
  const shape = { shape: ODD_SHAPE, dtype: "BF16", fineTunes: 8, shardSizeBytesMax: 5e9 } as const;
  return place(directory, RECIPES.dare_ties(makeFamily({ directory, ...shape })));
}

/** Runs a command against the daemon. */
function ask({ address }: Daemon, ...args: readonly string[]): Promise<CliResult> {
  return runCli(args, { env: { GRAFT_COORDINATOR: address } });
}

function jsonLines({ stdout }: CliResult): readonly Record<string, unknown>[] {
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
}

async function startSlowJob(daemon: Daemon, { recipe, text, out }: Place): Promise<string> {
  const { jobId } = await daemon.client.submit(submitRequest(recipe, text, out));
  assert.ok(await within(() => existsSync(journalOf(out))));
  return jobId;
}

const slow = (state: string): DaemonOptions => ({ state, env: SLOW });

test("a job ends done, with the bytes of a local merge, and every command tells so", async (context) => {
  const { directory, recipe, text, out, state } = smallPlace(context);
  const local = join(directory, "local");
  const alone = await runCli(["submit", recipe, "--out", local]);
  assert.equal(alone.exitCode, 0, transcript(alone));
  const daemon = await startDaemon(context, { state });
  const { jobId } = await daemon.client.submit(submitRequest(recipe, text, out));
  const watch = await ask(daemon, "watch", jobId);
  assert.equal(watch.exitCode, 0, transcript(watch));
  assert.match(watch.stdout, /done in .*out\n/);
  assert.deepEqual(hashDirectory(out), hashDirectory(local));

  const short = jobId.slice(0, 6);
  const events = jsonLines(await ask(daemon, "watch", short, "--json"));
  assert.deepEqual([events[0]?.kind, events.at(-1)?.kind], ["stage", "done"]);
  const [job] = jsonLines(await ask(daemon, "list", "--json"));
  assert.deepEqual([job?.jobId, job?.state, job?.output], [jobId, "done", out]);
  assert.match((await ask(daemon, "list")).stdout, new RegExp(`${jobId.slice(0, 12)} +done`));
  const [shown] = jsonLines(await ask(daemon, "show", short, "--json"));
  assert.equal(shown?.recipeText, text);
  assert.match((await ask(daemon, "show", short)).stdout, /merge_method: slerp/);
  const log = jsonLines(await ask(daemon, "logs", short, "--json"));
  assert.deepEqual(
    log.map(({ sequence }) => sequence),
    log.map((_, index) => String(index + 1)),
  );
  assert.match((await ask(daemon, "logs", short)).stdout, /published .*\n.* done in /);
});

test("a cancelled job publishes nothing, leaves nothing, and stays cancelled", async (context) => {
  const work = slowPlace(context);
  const daemon = await startDaemon(context, slow(work.state));
  const jobId = await startSlowJob(daemon, work);
  const watching = startCli(["watch", jobId, "--coordinator", daemon.address]);
  const waiting = await daemon.client.submit(
    submitRequest(work.recipe, work.text, join(work.directory, "waiting")),
  );
  for (const id of [waiting.jobId, jobId, jobId]) {
    const cancelled = await ask(daemon, "cancel", id);
    assert.equal(cancelled.exitCode, 0, transcript(cancelled));
    assert.match(cancelled.stdout, /is cancelled/);
  }
  assert.equal((await watching.done).exitCode, 130);
  assert.ok(!existsSync(work.out) && !existsSync(`${work.out}.graft`));
  await daemon.kill();
  const again = await startDaemon(context, slow(work.state));
  const { state } = await jobEnd(again, jobId);
  assert.equal(state, JobState.JOB_STATE_CANCELLED);
  assert.ok(!existsSync(work.out));
});

test("cancel --keep leaves the work, and resume makes a job that goes on with it", async (context) => {
  const work = slowPlace(context);
  const daemon = await startDaemon(context, slow(work.state));
  const jobId = await startSlowJob(daemon, work);
  assert.equal((await ask(daemon, "cancel", jobId, "--keep")).exitCode, 0);
  assert.ok(existsSync(journalOf(work.out)));
  const { jobId: next } = await daemon.client.resume(work.out);
  assert.notEqual(next, jobId);
  assert.equal((await daemon.client.resume(work.out)).jobId, next, "two jobs on one output");
  // Which is followed by whoever asks for it again, until it is done.
  const resumed = await ask(daemon, "resume", work.out, "--json");
  assert.equal(resumed.exitCode, 0, transcript(resumed));
  assert.deepEqual([jsonLines(resumed)[0]?.jobId, jsonLines(resumed).at(-1)?.kind], [next, "done"]);
  const log = await ask(daemon, "logs", next);
  assert.match(log.stdout, /resuming: /);
});

test("the same job_id is one job; another request under it is refused", async (context) => {
  const { recipe, text, out, state, directory } = smallPlace(context);
  const daemon = await startDaemon(context, { state });
  const request = submitRequest(recipe, text, out);
  const answers = await Promise.all([1, 2, 3].map(() => daemon.client.submit(request)));
  assert.deepEqual(new Set(answers.map(({ jobId }) => jobId)), new Set([request.jobId]));
  await jobEnd(daemon, request.jobId);
  // Even though its output exists by now.
  await daemon.client.submit(request);
  assert.equal((await daemon.client.list()).jobs.length, 1);
  const other = { ...request, outputDirectory: join(directory, "other") };
  await assert.rejects(daemon.client.submit(other), isError("JOB_ID_TAKEN"));
});

const isError = (code: string) => (error: unknown) => {
  assert.ok(error instanceof GraftError);
  assert.equal(error.code, code, error.message);
  return true;
};

test("what can be refused is refused before a job exists", async (context) => {
  const work = slowPlace(context);
  const { recipe, text, out, state } = work;
  const daemon = await startDaemon(context, slow(state));
  const request = submitRequest(recipe, text, out);
  const cases = [
    ["RECIPE", { ...request, recipeText: "merge_method: slurp\n" }],
    ["FLAG", { ...request, outputDirectory: "relative" }],
    ["FLAG", { ...request, workingDirectory: "" }],
    ["FLAG", { ...request, jobId: "1" }],
    ["FLAG", { ...request, options: undefined }],
    ["OUTPUT_EXISTS", { ...request, outputDirectory: work.directory }],
  ] as const;
  for (const [code, wrong] of cases) {
    await assert.rejects(daemon.client.submit(wrong), isError(code));
  }
  assert.deepEqual((await daemon.client.list()).jobs, []);
  const jobId = await startSlowJob(daemon, work);
  await assert.rejects(
    daemon.client.submit(submitRequest(recipe, text, out)),
    isError("OUTPUT_TAKEN"),
  );
  await daemon.client.cancel({ jobId, keepWork: false });
});

test("exit codes: 2 for what is unknown or wrong, 4 for nobody there", async (context) => {
  const { directory, state } = smallPlace(context);
  const daemon = await startDaemon(context, { state });
  for (const command of ["watch", "show", "logs", "cancel"]) {
    const result = await ask(daemon, command, "0123456789ab");
    assert.equal(result.exitCode, 2, transcript(result));
    assert.match(result.stderr, /^error: job 0123456789ab: unknown[^\n]*\n$/);
  }
  const drain = await ask(daemon, "drain", "127.0.0.1:1");
  assert.equal(drain.exitCode, 2, transcript(drain));
  const missing = writeRecipe(directory, RECIPES.slerp(["nowhere"]), "missing.yaml");
  const { jobId } = await daemon.client.submit(
    submitRequest(missing, readFileSync(missing, "utf8"), join(directory, "x")),
  );
  const watch = await ask(daemon, "watch", jobId);
  assert.equal(watch.exitCode, 2, transcript(watch));
  assert.match(watch.stderr, /missing\.yaml:5:12: error: model "nowhere"/);
  await daemon.kill();
  const nobody = await ask(daemon, "list");
  assert.equal(nobody.exitCode, 4, transcript(nobody));
  assert.match(nobody.stderr, /cannot be reached/);
  const abroad = await runCli(["serve", "--state", state, "--listen", "0.0.0.0:0"]);
  assert.equal(abroad.exitCode, 2, transcript(abroad));
  assert.match(abroad.stderr, /--insecure/);
});

test("a second coordinator on one state directory is refused with pid and host", async (context) => {
  const { state } = smallPlace(context);
  const first = await startDaemon(context, { state });
  const second = await runCli(["serve", "--state", state, "--listen", "127.0.0.1:0"]);
  assert.equal(second.exitCode, 2, transcript(second));
  assert.match(second.stderr, new RegExp(`pid ${first.running.process.pid} on `));
  await first.kill();
  // The lock of a dead process holds nobody back.
  await startDaemon(context, { state });
});

test("SIGTERM interrupts a job, and the next start goes on with it", async (context) => {
  const work = slowPlace(context);
  const daemon = await startDaemon(context, slow(work.state));
  const jobId = await startSlowJob(daemon, work);
  const watching = startCli(["watch", jobId, "--coordinator", daemon.address]);
  assert.ok(await within(() => watching.output().stderr.includes("plan: read")));
  daemon.running.process.kill("SIGTERM");
  const stopped = await daemon.running.done;
  assert.equal(stopped.exitCode, 0, transcript(stopped));
  assert.ok(!existsSync(work.out));
  await startDaemon(context, { ...slow(work.state), address: daemon.address });
  const watched = await watching.done;
  assert.equal(watched.exitCode, 0, transcript(watched));
  assert.match(watched.stderr, /trying again[\s\S]*resuming: /);
});

test("jobs run on the listed workers, which are shown and drained", async (context) => {
  const work = smallPlace(context);
  const worker = await startWorkerDaemon(context);
  const gone = "127.0.0.1:1";
  const flags = ["serve", "--json", "--listen", "127.0.0.1:0", "--state", work.state];
  const running = startCli([...flags, "--worker", worker.address, "--worker", gone]);
  context.after(() => running.process.kill("SIGKILL"));
  assert.ok(await within(() => running.output().stdout.includes("\n")));
  const { address }: { address: string } = JSON.parse(running.output().stdout);
  const list = () => runCli(["workers", "--json", "--coordinator", address]);
  const [first, second] = jsonLines(await list());
  assert.deepEqual([first?.address, first?.state], [worker.address, "serving"]);
  assert.deepEqual([first?.threadCount, first?.runningTaskCount], [1, 0]);
  assert.deepEqual([second?.address, second?.state], [gone, "unreachable"]);
  const [local, out] = [join(work.directory, "local"), work.out];
  const alone = await runCli(["submit", work.recipe, "--out", local]);
  assert.equal(alone.exitCode, 0, transcript(alone));
  const done = await runCli(["submit", work.recipe, "--out", out, "--coordinator", address]);
  assert.equal(done.exitCode, 0, transcript(done));
  assert.deepEqual(hashDirectory(out), hashDirectory(local));
  const drained = await runCli(["drain", worker.address, "--coordinator", address]);
  assert.equal(drained.exitCode, 0, transcript(drained));
  assert.equal(jsonLines(await list())[0]?.state, "draining");
});
