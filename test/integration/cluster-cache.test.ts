// Models that are on one worker's disk only: the others pull what they need. A mount namespace hides the
// directory from a worker, as another machine would not have it. Needs root and unshare.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { makeFamily, ODD_SHAPE, RECIPES } from "../support/fixtures.js";
import {
  hashDirectory,
  runCli,
  temporaryDirectory,
  transcript,
  writeRecipe,
} from "../support/run.js";
import { startWorkerDaemon, workerFlags } from "../support/workers.js";

const canUnshare = spawnSync("unshare", ["--mount", "true"]).status === 0;
const skip = canUnshare ? false : "needs unshare --mount (root) to hide a model from a worker";

test("a worker without the models pulls them from one that has them", { skip }, async (context) => {
  const directory = temporaryDirectory(context);
  const models = join(directory, "models");
  mkdirSync(models);
  const shape = { shape: ODD_SHAPE, dtype: "BF16", fineTunes: 2, shardSizeBytesMax: 5e6 } as const;
  const names = makeFamily({ directory: models, ...shape });
  const recipe = writeRecipe(models, RECIPES.dare_ties(names));
  const alone = join(directory, "alone");
  const reference = await runCli(["submit", recipe, "--out", alone]);
  assert.equal(reference.exitCode, 0, transcript(reference));

  const having = await startWorkerDaemon(context);
  const lacking = await startWorkerDaemon(context, {
    hidden: models,
    args: ["--cache-dir", join(directory, "cache")],
  });
  // The one that lacks the models is asked first.
  for (const flags of [workerFlags([lacking, having]), workerFlags([having, lacking])]) {
    const out = join(directory, `out-${flags[1]?.split(":")[1]}`);
    const result = await runCli(["submit", recipe, "--out", out, ...flags]);
    assert.equal(result.exitCode, 0, transcript(result));
    assert.doesNotMatch(result.stderr, /gets no tasks/);
    assert.deepEqual(hashDirectory(out), hashDirectory(alone));
  }
  const cached = readdirSync(join(directory, "cache"), { recursive: true, withFileTypes: true });
  assert.ok(
    cached.some((entry) => entry.isFile()),
    "the worker that lacks them has pulled pieces",
  );
  const uncached = await startWorkerDaemon(context, { hidden: models });
  const flags = workerFlags([having, uncached]);
  const result = await runCli(["submit", recipe, "--out", join(directory, "third"), ...flags]);
  assert.equal(result.exitCode, 0, transcript(result));
  assert.match(result.stderr, /gets no tasks: .*it could pull the file, with --cache-dir/);
});
