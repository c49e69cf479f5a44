// What may not be touched or filled: check reads no weight byte however big the model, and a merge
// that does not fit on the disk is refused before it begins.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { makeSmallModels, RECIPES } from "../support/fixtures.js";
import { type ModelShape, tensorLayouts } from "../support/models.js";
import { runCli, temporaryDirectory, transcript, writeRecipe } from "../support/run.js";
import { elementCount, encodeHeader } from "../support/safetensors.js";
import { sideFiles } from "../support/side-files.js";

/** Shaped like a 70B model: 138 GB in bf16 that take no room on disk. */
const HUGE_SHAPE: ModelShape = {
  layers: 80,
  hidden: 8192,
  intermediate: 28672,
  heads: 64,
  keyValueHeads: 8,
  vocabulary: 32000,
  tied: false,
};

const CHECK_MS_MAX = 2000;

/** Header and side files are real, the data is a hole. */
function makeHollowModel(directory: string): void {
  mkdirSync(directory);
  for (const [name, text] of sideFiles(HUGE_SHAPE, "BF16")) {
    writeFileSync(join(directory, name), text);
  }
  const layouts = tensorLayouts(HUGE_SHAPE, "BF16");
  const header = encodeHeader(layouts);
  const path = join(directory, "model.safetensors");
  const file = openSync(path, "w");
  writeSync(file, header);
  closeSync(file);
  const dataBytes = layouts.reduce((sum, { shape }) => sum + 2 * elementCount(shape), 0);
  truncateSync(path, header.length + dataBytes);
}

test("check of two 138 GB models takes less than two seconds", async (context) => {
  const directory = temporaryDirectory(context);
  for (const name of ["base", "tuned-01"]) makeHollowModel(join(directory, name));
  const recipe = writeRecipe(directory, RECIPES.slerp(["tuned-01"]));
  const start = performance.now();
  const result = await runCli(["check", recipe]);
  const elapsedMs = performance.now() - start;
  context.diagnostic(`${elapsedMs.toFixed(0)} ms`);
  assert.equal(result.exitCode, 0, transcript(result));
  assert.ok(elapsedMs < CHECK_MS_MAX, `${elapsedMs.toFixed(0)} ms`);
});

/** A file system of 1 MiB at the directory, or the reason why there cannot be one. */
function mountTiny(directory: string): string | null {
  if (process.getuid?.() !== 0) return "needs root to mount a small file system";
  const mount = spawnSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", directory]);
  return mount.status === 0 ? null : "this container may not mount a small file system";
}

test("an output that does not fit on its disk is refused before the merge", async (context) => {
  const directory = temporaryDirectory(context);
  makeSmallModels(directory);
  const tiny = join(directory, "tiny");
  mkdirSync(tiny);
  const reason = mountTiny(tiny);
  if (reason !== null) {
    context.skip(reason);
    return;
  }
  try {
    const recipe = writeRecipe(directory, RECIPES.slerp(["tuned-01"]));
    const result = await runCli(["submit", recipe, "--out", join(tiny, "merged")]);
    assert.equal(result.exitCode, 3, transcript(result));
    assert.match(result.stderr, /tiny/);
    assert.match(result.stderr, /free/);
    assert.ok(!existsSync(join(tiny, "merged")));
  } finally {
    spawnSync("umount", [tiny]);
  }
});
