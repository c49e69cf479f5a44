import assert from "node:assert/strict";
import { test } from "node:test";
import type { ContenderName } from "./contenders.js";
import { type CaseResult, figuresOf } from "./results.js";
import type { Sample } from "./rounds.js";
import { targetOutcomes } from "./targets.js";

function sample(contender: ContenderName, wallSeconds: number, processorSeconds: number): Sample {
  return {
    ...{ contender, wallSeconds, processorSeconds, round: 0, rejected: 0, noisy: false },
    ...{ peakMemoryBytes: wallSeconds * 1e9, foreignShare: 0 },
    ...(contender === "graft"
      ? { verifiedSeconds: wallSeconds - 0.5, readBytes: 12e9, pageCacheShare: 0.25 }
      : {}),
  };
}

const RESULT: CaseResult = {
  name: "slerp of 2",
  method: "slerp",
  state: "warm",
  shape: "any",
  inputBytes: 8e9,
  outputBytes: 4e9,
  samples: [
    sample("graft", 2, 1),
    sample("probe", 1, 0.1),
    sample("peer", 14, 30),
    { ...sample("graft", 3, 3), rejected: 2, noisy: true },
    sample("probe", 3, 0.1),
    sample("graft", 2.5, 2.4),
    { ...sample("probe", 2, 0.1), rejected: 1 },
  ],
};

test("ratios are of medians, and gigabytes are inputs and output once", () => {
  const figures = figuresOf(RESULT);
  assert.deepEqual(figures.graft.wall, { median: 2.5, min: 2, max: 3 });
  assert.equal(figures.wallRatio, 1.25);
  assert.equal(figures.verifiedRatio, 1);
  assert.ok(Math.abs(figures.graft.processorSecondsPerGigabyte - 0.2) < 1e-12);
  assert.equal(figures.readRatio, 1.5);
  assert.equal(figures.pageCacheShare, 0.25);
  assert.equal(figures.peerRatio, 5.6);
  assert.ok(Math.abs((figures.peerMemoryRatio ?? 0) - 14 / 3) < 1e-12);
  assert.deepEqual([figures.rejected, figures.noisy], [3, 1]);
});

test("without the peer there is nothing to compare with it", () => {
  const samples = RESULT.samples.filter(({ contender }) => contender !== "peer");
  const figures = figuresOf({ ...RESULT, samples });
  assert.deepEqual([figures.peer, figures.peerRatio], [null, null]);
});

test("targets are judged on their own side of the bound", () => {
  const outcomes = targetOutcomes(RESULT, figuresOf(RESULT));
  assert.deepEqual(
    outcomes.map(({ what, bound, holds }) => [what, bound, holds]),
    [
      ["× probe, job start to verified", 1.4, true],
      ["× probe, whole process", 1.4, true],
      ["CPU-s per GB", 0.2, true],
      ["× faster than mergekit", 5, true],
    ],
  );
  const figures = { ...figuresOf(RESULT), wallRatio: 1.5, verifiedRatio: 1.41, peerRatio: 4.9 };
  assert.deepEqual(
    targetOutcomes(RESULT, figures).map(({ holds }) => holds),
    [false, false, true, false],
  );
});

test("cold results are held only to their processor time", () => {
  const cold = { ...RESULT, state: "cold" } as const;
  const outcomes = targetOutcomes(cold, figuresOf(cold));
  assert.deepEqual(
    outcomes.map(({ what }) => what),
    ["CPU-s per GB"],
  );
});
