import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { mapBounded } from "./map-bounded.js";

describe("mapBounded", () => {
  it("keeps the order and never runs more at once than allowed", async () => {
    let running = 0;
    let most = 0;
    const results = await mapBounded([5, 1, 4, 2, 3], 2, async (turns) => {
      running += 1;
      most = Math.max(most, running);
      for (let count = 0; count < turns; count += 1) await turn();
      running -= 1;
      return turns * 10;
    });
    assert.deepEqual(results, [50, 10, 40, 20, 30]);
    assert.equal(most, 2);
  });

  it("starts nothing after a failure and leaves nothing running", async () => {
    const started: number[] = [];
    let finished = 0;
    const failing = mapBounded([0, 1, 2, 3], 2, async (index) => {
      started.push(index);
      await turn();
      if (index === 0) throw new Error("no");
      await turn();
      finished += 1;
    });
    await assert.rejects(failing, /no/);
    assert.deepEqual(started, [0, 1]);
    assert.equal(finished, 1);
  });
});
