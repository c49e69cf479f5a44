import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { GraftError } from "@graft/proto";
import type { BeginRecord, JournalRecord } from "./records.js";
import { type JobIdentity, readHistory, requireSameJob } from "./resume.js";

const identity: JobIdentity = {
  planDigest: "p1",
  kernelVersion: "k1",
  request: {
    recipePath: "/r/recipe.yaml",
    recipeText: "merge_method: linear",
    workingDirectory: "/r",
    models: {},
    seed: "0",
    maxShardSizeBytes: 5e9,
    lenient: false,
    sha256: true,
    paranoid: false,
    force: false,
  },
  inputs: [
    { file: "base/a.safetensors", sizeBytes: 8, headerDigest: "h", modifiedTimeNs: "1" },
    { file: "base/b.safetensors", sizeBytes: 8, headerDigest: "h", modifiedTimeNs: "1" },
  ],
};
const begin: BeginRecord = { kind: "begin", format: 1, ...identity };
const [first, second] = identity.inputs as [JobIdentity["inputs"][0], JobIdentity["inputs"][0]];

const request = (change: Partial<JobIdentity["request"]>): JobIdentity => ({
  ...identity,
  planDigest: "p2",
  request: { ...identity.request, ...change },
});
const inputs = (...list: JobIdentity["inputs"]): JobIdentity => ({ ...identity, inputs: list });

const done = (taskId: string, epoch: number): JournalRecord => ({
  kind: "task-done",
  ...{ taskId, epoch, outputs: [], inputs: [], nonFinite: [] },
});

describe("resume", () => {
  for (const [name, now, reason] of [
    ["the recipe", request({ recipeText: "merge_method: slerp" }), /is there: the recipe;/],
    ["the seed", request({ seed: "7" }), /--seed 0 to 7/],
    ["the shard size", request({ maxShardSizeBytes: 1 }), /--max-shard-size 5000000000 to 1/],
    ["the kernels", { ...identity, planDigest: "p2", kernelVersion: "k2" }, /kernel version/],
    [
      "an input's size",
      inputs({ ...first, sizeBytes: 9 }, second),
      /size of input base\/a\.safetensors/,
    ],
    [
      "an input's header",
      inputs(first, { ...second, headerDigest: "x" }),
      /header of input base\/b/,
    ],
    [
      "an input's time although sizes agree",
      inputs({ ...first, modifiedTimeNs: "2" }, second),
      /modification time of input base\/a/,
    ],
    ["a missing input", inputs(first), /input base\/b\.safetensors is gone/],
    ["anything else", { ...identity, planDigest: "p2" }, /the plan/],
  ] as const) {
    it(`refuses and names ${name}`, () => {
      assert.throws(
        () => requireSameJob("/out", begin, now),
        (error) =>
          error instanceof GraftError &&
          error.code === "RESUME_MISMATCH" &&
          reason.test(error.message) &&
          error.message.includes("coordinator clean /out"),
      );
    });
  }

  it("goes on when only the text or an option that changes no byte differs", () => {
    requireSameJob("/out", begin, identity);
    const now = { ...request({ recipeText: "# note\n", seed: "7" }), planDigest: "p1" };
    requireSameJob("/out", begin, now);
  });

  it("adds the records up, without results that were declared void", () => {
    const history = readHistory([
      begin,
      done("a", 1),
      done("b", 4),
      { kind: "file-verified", name: "f", sha256: "s" },
      { kind: "task-void", taskIds: ["a"], reason: "lost write" },
      done("c", 2),
    ]);
    assert.deepEqual([...history.done.keys()], ["b", "c"]);
    assert.equal(history.epochMax, 4);
    assert.equal(history.verified.size, 0);
    assert.equal(history.isPublished, false);
    assert.equal(readHistory([]).begin, null);
  });
});
