import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { MergeEvent } from "../jobs/events.js";
import { createRenderer, formatSeconds, progressText } from "./render.js";

const progress = (doneBytes: number): Extract<MergeEvent, { kind: "progress" }> => ({
  kind: "progress",
  stage: "merge",
  doneTasks: 1,
  taskCount: 4,
  readBytes: doneBytes / 2,
  writtenBytes: doneBytes / 2,
  doneBytes,
  totalBytes: 8e9,
  elapsedSeconds: 2,
});

describe("renderer", () => {
  it("shows stage, bytes both ways, speed and what is left", () => {
    assert.equal(
      progressText(progress(2e9)),
      "merging [#####---------------]  25 %  read 1.0 GB  written 1.0 GB  1.0 GB/s  ETA 6.0 s",
    );
  });

  it("says nothing of the end at the beginning and at the end", () => {
    for (const doneBytes of [0, 8e9]) {
      assert.doesNotMatch(progressText(progress(doneBytes)), /ETA|NaN|Infinity/);
    }
  });

  it("rewrites one line on a terminal, ten times a second at most, within its width", () => {
    const renderer = createRenderer({ isTerminal: true, columns: 30 });
    const first = renderer.handle({ kind: "stage", stage: "merge" }, 0);
    assert.equal(first, "\r\x1b[2Kmerging");
    assert.equal(renderer.handle(progress(1e9), 50), null);
    const line = renderer.handle(progress(2e9), 150) ?? "";
    assert.ok(!line.includes("\n"));
    assert.equal(line.replace("\r\x1b[2K", "").length, 29);
    assert.equal(
      renderer.handle({ kind: "warning", message: "w" }, 160),
      "\r\x1b[2Kwarning: w\n",
      "other text takes the place of the line",
    );
    assert.equal(renderer.clear(), "");
  });

  it("prints whole lines every few seconds elsewhere, without control characters", () => {
    const renderer = createRenderer({ isTerminal: false, columns: 80 });
    const shown: string[] = [renderer.handle({ kind: "stage", stage: "merge" }, 0) ?? ""];
    for (let nowMs = 100; nowMs <= 11_000; nowMs += 100) {
      const text = renderer.handle(progress(nowMs * 1e5), nowMs);
      if (text !== null) shown.push(text);
    }
    assert.equal(shown.length, 3);
    for (const text of shown) assert.match(text, /^[\x20-\x7e]+\n$/);
    assert.equal(renderer.clear(), "");
  });

  for (const [seconds, want] of [
    [0, "0.0 s"],
    [9.94, "9.9 s"],
    [9.96, "10 s"],
    [59.4, "59 s"],
    [185, "3 min 05 s"],
    [7800, "2 h 10 min"],
  ] as const) {
    it(`writes ${seconds} seconds as ${want}`, () => assert.equal(formatSeconds(seconds), want));
  }
});
