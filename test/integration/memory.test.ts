// --memory bounds the worker whatever the number of models: the peak of a merge of fourteen on a base
// stays under the limit and about where a merge of two is.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { makeFamily, ODD_SHAPE, RECIPES } from "../support/fixtures.js";
import { childrenOf, HAS_PROC, peakMemoryBytes } from "../support/processes.js";
import { startCli, temporaryDirectory, transcript, writeRecipe } from "../support/run.js";

const MIB = 2 ** 20;
const LIMIT_BYTES = 512 * MIB;
/** Buffers of twelve more inputs may add this much, and no more for bigger models. */
const GROWTH_BYTES_MAX = 96 * MIB;

async function workerPeakBytes(recipe: string, out: string): Promise<number> {
  const running = startCli(["submit", recipe, "--out", out, "--memory", "512MiB"]);
  let peak = 0;
  while (running.process.exitCode === null && running.process.signalCode === null) {
    for (const worker of childrenOf(running.process.pid ?? 0, "worker")) {
      peak = Math.max(peak, peakMemoryBytes(worker) ?? 0);
    }
    await sleep(5);
  }
  const result = await running.done;
  assert.equal(result.exitCode, 0, transcript(result));
  return peak;
}

const skip = HAS_PROC ? false : "needs /proc to read peak memory";

test("fourteen models on a base fit where two fit", { skip }, async (context) => {
  const directory = temporaryDirectory(context);
  // 15 models of 48 MB: more than the limit in all.
  const shape = { ...ODD_SHAPE, layers: 2 };
  const options = { shape, dtype: "BF16", fineTunes: 14, shardSizeBytesMax: 5e9 } as const;
  const names = makeFamily({ directory, ...options });
  const two = writeRecipe(directory, RECIPES.dare_ties(names.slice(0, 2)), "two.yaml");
  const all = writeRecipe(directory, RECIPES.dare_ties(names), "all.yaml");
  const twoBytes = await workerPeakBytes(two, join(directory, "out-two"));
  const allBytes = await workerPeakBytes(all, join(directory, "out-all"));
  const mebibytes = (bytes: number): string => `${(bytes / MIB).toFixed(0)} MiB`;
  context.diagnostic(`two models: ${mebibytes(twoBytes)}, fourteen: ${mebibytes(allBytes)}`);
  assert.ok(twoBytes > 0 && allBytes > 0, "no worker process was seen");
  assert.ok(allBytes < LIMIT_BYTES, `${mebibytes(allBytes)} is over the limit`);
  assert.ok(Math.abs(allBytes - twoBytes) < GROWTH_BYTES_MAX, "the peak depends on the models");
});
