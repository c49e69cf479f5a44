import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { diskSpeedFraction, type MergeSummary } from "../jobs/summary.js";
import { parameterText, summaryText } from "./summary.js";

const summary: MergeSummary = {
  output: "/out",
  planDigest: "d",
  outputBytes: 206.1e9,
  parameterCount: 103.2e9,
  tensorCount: 1083,
  fileCount: 42,
  taskCount: 1400,
  skippedTaskCount: 0,
  readBytes: 138e9,
  writtenBytes: 206e9,
  pageCacheBytes: 0,
  mergeBytesPerSecond: 3.44e9,
  workerMemoryBytes: 3 * 2 ** 30,
  seconds: 131,
  stages: [
    { stage: "plan", seconds: 0.2, bytes: 0 },
    { stage: "merge", seconds: 100, bytes: 344e9 },
  ],
  storage: { readBytesPerSecond: 4e9, writeBytesPerSecond: 4e9 },
  diskSpeedFraction: 0.86,
  nonFinite: [
    { model: "tuned", tensor: "x", count: 1, firstIndex: 17 },
    { model: "", tensor: "y", count: 2, firstIndex: 0 },
  ],
  ledger: { merged: 1, copied: 2, aliased: 3, ignored: 4 },
  notes: Array.from({ length: 25 }, (_, index) => `note ${index}`),
};

describe("summary", () => {
  const text = summaryText(summary);
  for (const part of [
    "done in 2 min 11 s: /out",
    "206.1 GB in 42 files, 1083 tensors, 103.2 B parameters",
    "1 merged, 2 copied, 3 aliased, 4 ignored",
    "344.0 GB at 3.4 GB/s, 86 % of disk speed",
    "worker memory: 3 GiB",
    "tuned: x: 1 value, first at index 17",
    "output y overflowed: 2 values",
    "note 19",
    "and 5 more, see graft-manifest.json",
  ]) {
    it(`says "${part}"`, () => assert.ok(text.includes(part), text));
  }

  it("leaves out what was not measured", () => {
    const bare = summaryText({ ...summary, diskSpeedFraction: null, nonFinite: [], notes: [] });
    assert.doesNotMatch(bare, /disk speed|NaN|notes/);
  });

  for (const [count, want] of [
    [12, "12"],
    [6_852_864, "6.9 M"],
    [103.2e9, "103.2 B"],
  ] as const) {
    it(`writes ${count} parameters as ${want}`, () => assert.equal(parameterText(count), want));
  }
});

describe("fraction of disk speed", () => {
  const storage = { readBytesPerSecond: 2, writeBytesPerSecond: 1 };
  it("is the time the disk alone needs over the time it took", () => {
    const moved = { readBytes: 100, pageCacheBytes: 20, writtenBytes: 60 };
    assert.equal(diskSpeedFraction(storage, moved, 200), (40 + 60) / 200);
  });
  it("is unknown without a measurement, time or output", () => {
    const moved = { readBytes: 1, pageCacheBytes: 0, writtenBytes: 1 };
    assert.equal(diskSpeedFraction(null, moved, 1), null);
    assert.equal(diskSpeedFraction(storage, moved, 0), null);
    assert.equal(diskSpeedFraction(storage, { ...moved, writtenBytes: 0 }, 1), null);
  });
});
