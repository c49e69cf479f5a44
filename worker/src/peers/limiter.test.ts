import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createLimiter } from "./limiter.js";

test("never more than the limit at a time, all of them in the end, in order", async () => {
  const limit = createLimiter(3);
  const { signal } = new AbortController();
  const order: number[] = [];
  let running = 0;
  let most = 0;
  const calls = Array.from({ length: 20 }, (_, at) =>
    limit(async () => {
      order.push(at);
      running += 1;
      most = Math.max(most, running);
      await sleep(1);
      running -= 1;
      if (at % 5 === 0) throw new Error("one that fails gives its place back");
    }, signal).catch(() => undefined),
  );
  await Promise.all(calls);
  assert.equal(most, 3);
  assert.deepEqual(
    order,
    [...order].sort((a, b) => a - b),
  );
  assert.equal(order.length, 20);
});

test("who gives up waiting leaves the line and takes no place", async () => {
  const limit = createLimiter(1);
  const { signal } = new AbortController();
  const impatient = new AbortController();
  let finish: () => void = () => undefined;
  const first = limit(() => new Promise<void>((resolve) => (finish = resolve)), signal);
  const second = limit(async () => assert.fail("must not run"), impatient.signal);
  const third = limit(async () => "ran", signal);
  impatient.abort(new Error("gone"));
  await assert.rejects(second, /gone/);
  finish();
  await first;
  assert.equal(await third, "ran");
});
