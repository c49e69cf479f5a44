// submit with --coordinator: what is followed, what is left to run, and what nobody answers.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { journalOf, startDaemon, within } from "../support/coordinators.js";
import { makeFamily, makeSmallModels, ODD_SHAPE, RECIPES } from "../support/fixtures.js";
import { runCli, startCli, temporaryDirectory, transcript, writeRecipe } from "../support/run.js";

const SLOW = { GRAFT_ISA: "scalar", GRAFT_TILE_BYTES: `${2 ** 20}` };

function jsonLines(stdout: string): readonly Record<string, unknown>[] {
  return stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
}

test("submit follows the job; --detach only names it; Ctrl-C leaves it running", async (context) => {
  const directory = temporaryDirectory(context);
  const shape = { shape: ODD_SHAPE, dtype: "BF16", fineTunes: 2, shardSizeBytesMax: 5e9 } as const;
  const recipe = writeRecipe(directory, RECIPES.dare_ties(makeFamily({ directory, ...shape })));
  const out = join(directory, "out");
  const daemon = await startDaemon(context, { state: join(directory, "state"), env: SLOW });
  const submit = ["submit", recipe, "--coordinator", daemon.address];
  const running = startCli([...submit, "--out", out]);
  assert.ok(await within(() => existsSync(journalOf(out))));
  running.process.kill("SIGINT");
  const detached = await running.done;
  assert.equal(detached.exitCode, 130, transcript(detached));
  const jobId = /coordinator watch ([0-9a-f]+)/.exec(detached.stderr)?.[1] ?? "";
  const watched = await runCli(["watch", jobId, "--coordinator", daemon.address]);
  assert.equal(watched.exitCode, 0, transcript(watched));
  assert.ok(existsSync(out));

  const second = join(directory, "second");
  const atOnce = await runCli([...submit, "--out", second, "--detach"]);
  assert.equal(atOnce.exitCode, 0, transcript(atOnce));
  assert.match(atOnce.stdout, /^[0-9a-f]{32}\n$/);
  const third = await runCli([...submit, "--out", join(directory, "third"), "--json"]);
  assert.equal(third.exitCode, 0, transcript(third));
  const kinds = jsonLines(third.stdout).map(({ kind }) => kind);
  assert.deepEqual([kinds[0], kinds.at(-1)], ["submitted", "done"]);
  assert.ok(existsSync(second), "jobs do not run in the order they came");
});

test("a dry run and a wrong recipe make no job; nobody there is exit 4", async (context) => {
  const directory = temporaryDirectory(context);
  makeSmallModels(directory);
  const recipe = writeRecipe(directory, RECIPES.slerp(["tuned-01"]));
  const out = join(directory, "out");
  const daemon = await startDaemon(context, { state: join(directory, "state") });
  const submit = (path: string, ...args: readonly string[]) =>
    runCli(["submit", path, "--out", out, "--coordinator", daemon.address, ...args]);
  const local = await runCli(["plan", recipe, "--json"]);
  const dry = await submit(recipe, "--dry-run", "--json");
  assert.equal(dry.exitCode, 0, transcript(dry));
  assert.equal(jsonLines(dry.stdout)[0]?.planDigest, jsonLines(local.stdout)[0]?.planDigest);
  const wrong = await submit(writeRecipe(directory, "merge_method: slurp\n", "wrong.yaml"));
  assert.equal(wrong.exitCode, 2, transcript(wrong));
  assert.match(wrong.stderr, /wrong\.yaml:1:15: error: .*did you mean "slerp"/);
  const bounds = await submit(recipe, "--memory", "1GiB");
  assert.equal(bounds.exitCode, 2, transcript(bounds));
  assert.deepEqual((await daemon.client.list()).jobs, []);
  await daemon.kill();
  const nobody = await submit(recipe);
  assert.equal(nobody.exitCode, 4, transcript(nobody));
  assert.match(nobody.stderr, /cannot be reached/);
  assert.ok(!existsSync(out));
});
