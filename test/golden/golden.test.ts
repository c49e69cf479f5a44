// One test per golden case, through the real command line: what succeeds must give the expected
// numbers, what must be refused names its fault and leaves nothing behind. GRAFT_KEEP=1 keeps outputs.
import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { compareCase, readCase } from "../support/compare.js";
import { ROOT, runCli, temporaryDirectory, transcript } from "../support/run.js";

const CASES = join(ROOT, "test", "golden", "cases");

/** recipe.yaml:LINE:COLUMN, which every fault of a recipe must carry. */
const POSITION = /recipe\.yaml:\d+:\d+/;

/** What the message of a refusal must name, case by case; case.json says it in words. */
const REFUSALS: Readonly<Record<string, readonly RegExp[]>> = {
  "151-bad-unknown-method": [POSITION, /slurp/, /slerp/],
  "152-bad-typo-top-key": [POSITION, /base_modle/, /base_model/],
  "153-bad-typo-parameter": [POSITION, /densty/, /density/, /models\[0\]|core-a/],
  "154-bad-typo-source-key": [POSITION, /layer_rang\b/, /layer_range\b/],
  "155-bad-missing-base": [POSITION, /base_model/, /ties/],
  "156-bad-missing-base-slerp": [POSITION, /base_model/, /slerp/],
  "157-bad-layer-range-too-long": [POSITION, /core-a/, /\[0, ?5\]/, /\b4\b/],
  "158-bad-layer-range-reversed": [POSITION, /\[3, ?1\]/],
  "159-bad-layer-range-negative": [POSITION, /-1/],
  "160-bad-unequal-ranges": [POSITION, /\[0, ?2\]/, /\[0, ?3\]/],
  "161-bad-models-and-slices": [POSITION, /models/, /slices/, /one of|both|together/],
  "162-bad-neither-models-nor-slices": [POSITION, /models/, /slices/],
  "163-bad-unknown-dtype": [POSITION, /float64/, /float32/, /bfloat16/],
  "164-bad-unknown-out-dtype": [POSITION, /bf17/],
  "165-bad-missing-weight": [POSITION, /weight/, /core-b/],
  "166-bad-missing-t": [POSITION, /\bt\b/],
  "167-bad-t-under-model": [POSITION, /\bt\b/, /top level|slice|global/],
  "168-bad-model-dir-missing": [/no-such-model/],
  "169-bad-hidden-size-mismatch": [/core-a/, /core-wide/, /weight|hidden_size/, /\b16\b/, /\b24\b/],
  "170-bad-malformed-yaml": [POSITION],
  "171-bad-tokenizer-both": [POSITION, /tokenizer_source/, /tokenizer\b/],
  "172-bad-tokenizer-bad-token": [POSITION, /tokenizer/],
  "173-bad-tokenizer-unknown-kind": [POSITION, /tokenizer/],
  "174-bad-slerp-three": [POSITION, /slerp/, /two|\b2\b/],
  "175-bad-slerp-base-not-member": [POSITION, /base_model|three|\b3\b/],
  "176-bad-passthrough-two": [POSITION, /passthrough/, /one|\b1\b/],
  "177-bad-architectures-differ": [/LlamaForCausalLM/, /Qwen2ForCausalLM/],
  "178-bad-string-weight": [POSITION, /heavy/],
  "179-bad-empty-gradient": [POSITION, /\bt\b/, /empty|at least one|\[\]/],
  "180-bad-lone-condition": [POSITION, /list/],
  "181-bad-base-not-in-sources": [POSITION, /core-base|base_model/, /source/],
  "182-bad-pipeline-cycle": [POSITION, /document/],
  "183-bad-pipeline-duplicate-name": [POSITION, /document/],
  "184-bad-top-level-list": [POSITION, /mapping/],
};

const ids = readdirSync(CASES).sort();

describe("golden merges", { concurrency: 2 }, () => {
  for (const id of ids) {
    const golden = readCase(join(CASES, id));
    if (golden.tolerance_class === "refusal") continue;
    test(`${id}: ${golden.description}`, async (context) => {
      const out = join(temporaryDirectory(context), id);
      const recipe = join(CASES, id, "recipe.yaml");
      const result = await runCli(["submit", recipe, "--out", out]);
      assert.equal(result.exitCode, 0, transcript(result));
      const verdict = compareCase(join(CASES, id), out);
      assert.deepEqual(verdict.problems, []);
      for (const quirk of verdict.quirks) context.diagnostic(`allowed: ${quirk}`);
    });
  }
});

describe("golden refusals", { concurrency: 2 }, () => {
  for (const id of ids) {
    const golden = readCase(join(CASES, id));
    if (golden.tolerance_class !== "refusal") continue;
    test(`${id}: ${golden.description} is refused, naming ${golden.expected_error}`, async (context) => {
      const wanted = REFUSALS[id];
      assert.ok(wanted !== undefined, `${id} has no row in the table above`);
      const out = join(temporaryDirectory(context), id);
      const result = await runCli(["submit", join(CASES, id, "recipe.yaml"), "--out", out]);
      assert.equal(result.exitCode, 2, transcript(result));
      for (const pattern of wanted) assert.match(result.stderr, pattern);
      assert.ok(!existsSync(out), "the output directory exists");
      assert.ok(!existsSync(`${out}.graft`), "partial work exists");
    });
  }
});
