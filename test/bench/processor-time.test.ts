import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { test } from "node:test";
import {
  childSeconds,
  foreignShare,
  parseProcessorTimes,
  readProcessorTimes,
} from "./processor-time.js";

const MACHINE = "cpu  1000 20 300 4000 5 6 7 40 9 10\ncpu0 500 10 150 2000 2 3 3 20 4 5\n";
const SELF = "77 (a (b) c) S 1 77 77 0 -1 4194304 1 2 3 4 150 60 250 70 20 0 11 0 9 1";

test("user, stolen, own and children's time are taken from their fields", () => {
  assert.deepEqual(parseProcessorTimes(MACHINE, SELF), {
    machineUserSeconds: 10.2,
    stolenSeconds: 0.4,
    ownUserSeconds: 1.5,
    childUserSeconds: 2.5,
    childSystemSeconds: 0.7,
  });
});

const zero = {
  machineUserSeconds: 0,
  stolenSeconds: 0,
  ownUserSeconds: 0,
  childUserSeconds: 0,
  childSystemSeconds: 0,
};

test("time of others is what neither this process nor its children used", () => {
  const after = {
    machineUserSeconds: 5,
    stolenSeconds: 0.5,
    ownUserSeconds: 0.25,
    childUserSeconds: 4,
    childSystemSeconds: 3,
  };
  assert.equal(foreignShare(zero, after, 10), 0.125);
  assert.equal(childSeconds(zero, after), 7);
});

test("a machine whose ticks lag behind shows no negative share", () => {
  assert.equal(foreignShare(zero, { ...zero, childUserSeconds: 1 }, 2), 0);
});

test("a grandchild's time counts once its parent has waited for it", {
  skip: existsSync("/proc/self/stat") ? false : "needs /proc",
}, () => {
  const busy = "const end = Date.now() + 300; while (Date.now() < end);";
  const parent = `require("node:child_process").spawnSync(process.execPath, ["-e", ${JSON.stringify(busy)}])`;
  const before = readProcessorTimes();
  spawnSync(process.execPath, ["-e", parent]);
  const used = childSeconds(before, readProcessorTimes());
  assert.ok(used >= 0.15, `${used} s counted of about 0.3 s`);
});
