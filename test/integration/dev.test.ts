// The cluster that a newcomer starts with one command.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { makeSmallModels, RECIPES } from "../support/fixtures.js";
import { childrenOf, HAS_PROC, waitFor } from "../support/processes.js";
import {
  hashDirectory,
  runCli,
  startCli,
  temporaryDirectory,
  transcript,
  writeRecipe,
} from "../support/run.js";

const skip = HAS_PROC ? false : "needs /proc to find the workers";

test("one command starts a cluster, and a worker of it may die", { skip }, async (context) => {
  const directory = temporaryDirectory(context);
  makeSmallModels(directory);
  const recipe = writeRecipe(directory, RECIPES.slerp(["tuned-01"]));
  const state = join(directory, "state");
  const flags = ["--workers", "3", "--listen", "127.0.0.1:0", "--state", state, "--json"];
  const cluster = startCli(["dev", ...flags]);
  context.after(() => void cluster.process.kill("SIGKILL"));
  const address = (): string | undefined =>
    /"address":"(127\.0\.0\.1:\d+)"/.exec(cluster.output().stdout)?.[1];
  await waitFor(
    () => address() !== undefined,
    () => cluster.process.exitCode !== null,
  );
  const submit = (out: string) =>
    runCli(["submit", recipe, "--out", join(directory, out), "--coordinator", address() ?? ""]);
  const first = await submit("first");
  assert.equal(first.exitCode, 0, transcript(first));
  const workers = childrenOf(cluster.process.pid ?? 0, "worker");
  assert.equal(workers.length, 3);
  process.kill(workers[0] ?? 0, "SIGKILL");
  const second = await submit("second");
  assert.equal(second.exitCode, 0, transcript(second));
  const [a, b] = ["first", "second"].map((out) => hashDirectory(join(directory, out)));
  assert.deepEqual(a, b);
  cluster.process.kill("SIGINT");
  assert.equal((await cluster.done).exitCode, 0);
});
