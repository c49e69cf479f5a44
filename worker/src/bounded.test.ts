import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { mapBounded } from "./bounded.js";

test("results keep the list's order and no more calls run at once than allowed", async () => {
  let running = 0;
  let most = 0;
  const results = await mapBounded([5, 4, 3, 2, 1, 0], 2, async (item) => {
    running += 1;
    most = Math.max(most, running);
    await sleep(item);
    running -= 1;
    return item * 10;
  });
  assert.deepEqual(results, [50, 40, 30, 20, 10, 0]);
  assert.equal(most, 2);
});

test("the error of the first failing item is thrown although a later one fails sooner", async () => {
  const call = async (item: number): Promise<void> => {
    await sleep(10 - item);
    throw new Error(`item ${item}`);
  };
  await assert.rejects(mapBounded([1, 9], 2, call), /item 1/);
});

test("an empty list gives an empty list", async () => {
  assert.deepEqual(await mapBounded([], 8, async () => assert.fail()), []);
});
