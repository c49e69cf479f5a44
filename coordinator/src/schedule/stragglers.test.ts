import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Decision } from "./protocol.js";
import { createScheduler } from "./scheduler.js";
import { createMedian } from "./stragglers.js";

interface Outcome {
  readonly makespanMs: number;
  readonly assigned: readonly Extract<Decision, { kind: "assign" }>[];
  readonly revoked: readonly Extract<Decision, { kind: "revoke" }>[];
  readonly end: string;
}

/** Every worker runs its credits side by side, each task in the time of its worker. No faults. */
function run(taskCount: number, taskMsOf: readonly (() => number)[], credits = 6): Outcome {
  const tasks = Array.from({ length: taskCount }, (_, index) => ({ id: `t${index}` }));
  const scheduler = createScheduler({ tasks });
  const assigned: Extract<Decision, { kind: "assign" }>[] = [];
  const revoked: Extract<Decision, { kind: "revoke" }>[] = [];
  let reports: { atMs: number; workerId: string; taskId: string; epoch: number }[] = [];
  let nowMs = 0;
  let end = "";
  const feed = (event: Parameters<typeof scheduler.handle>[0]): void => {
    for (const decision of scheduler.handle(event, nowMs)) {
      if (decision.kind === "finish" || decision.kind === "fail") end = decision.kind;
      if (decision.kind === "assign") {
        assigned.push(decision);
        const taskMs = taskMsOf[Number(decision.workerId)]?.() ?? 0;
        reports.push({ ...decision, atMs: nowMs + taskMs });
      }
      if (decision.kind !== "revoke") continue;
      revoked.push(decision);
      const { epoch, taskId, workerId } = decision;
      reports = reports.filter((one) => one.epoch !== epoch || one.taskId !== taskId);
      freed.push(workerId);
    }
  };
  const freed: string[] = [];
  for (const [index] of taskMsOf.entries()) feed({ kind: "worker-joined", workerId: `${index}` });
  for (const [index] of taskMsOf.entries()) {
    feed({ kind: "credits-granted", workerId: `${index}`, count: credits });
  }
  for (; end === "" && nowMs < 1e9; nowMs += 50) {
    for (const workerId of freed.splice(0)) {
      feed({ kind: "credits-granted", workerId, count: 1 });
    }
    for (const report of reports.filter(({ atMs }) => atMs <= nowMs)) {
      reports.splice(reports.indexOf(report), 1);
      const { workerId, taskId, epoch } = report;
      feed({ kind: "task-done", workerId, taskId, epoch });
      feed({ kind: "credits-granted", workerId, count: 1 });
    }
    for (const [index] of taskMsOf.entries()) {
      feed({ kind: "worker-progressed", workerId: `${index}` });
    }
    feed({ kind: "tick" });
  }
  return { makespanMs: nowMs, assigned, revoked, end };
}

const steady = (ms: number) => (): number => ms;

describe("stragglers", () => {
  it("are re-run once elsewhere, and the slow attempt is told to stop", () => {
    const { end, assigned, revoked } = run(40, [steady(1000), steady(1000), steady(100_000)]);
    assert.equal(end, "finish");
    const slow = assigned.filter(({ workerId }) => workerId === "2");
    assert.equal(slow.length, 6);
    assert.equal(assigned.length, 46);
    assert.deepEqual(
      revoked.map(({ taskId, epoch, workerId, reason }) => ({ taskId, epoch, workerId, reason })),
      slow.map(({ taskId, epoch, workerId }) => ({
        ...{ taskId, epoch, workerId },
        reason: "superseded",
      })),
    );
  });

  for (const [tasks, workers] of [
    [2, 2],
    [12, 2],
    [64, 4],
    [200, 8],
  ] as const) {
    it(`one of ${workers} workers at 1/100 costs little over ${tasks} tasks`, () => {
      const fast = Array.from({ length: workers - 1 }, () => steady(1000));
      const without = run(tasks, fast, 2);
      const withSlow = run(tasks, [...fast, steady(100_000)], 2);
      // A job of few rounds pays the wait of 1.5 medians and the copy itself.
      const allowed = Math.max(1.3 * without.makespanMs, without.makespanMs + 2 * 1000);
      assert.ok(
        withSlow.makespanMs <= allowed,
        `${withSlow.makespanMs} ms, ${without.makespanMs} ms without it`,
      );
    });
  }

  it("are no reason to do much twice when all workers are equally slow", () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      let state = seed;
      const noisy = (): number => {
        state = (state * 48_271) % 2_147_483_647;
        return 50_000 * (0.5 + (state / 2_147_483_647) * 2);
      };
      const { end, assigned } = run(200, [noisy, noisy, noisy, noisy, noisy]);
      assert.equal(end, "finish");
      assert.ok(assigned.length <= 220, `seed ${seed}: ${assigned.length} attempts of 200 tasks`);
    }
  });
});

describe("running median", () => {
  it("is the lower middle of what was pushed", () => {
    const median = createMedian();
    assert.equal(median.value, null);
    const wanted = [5, 1, 5, 2, 3, 3];
    for (const [index, value] of [5, 1, 9, 2, 3, 7].entries()) {
      median.push(value);
      assert.equal(median.value, wanted[index], `after ${index + 1}`);
    }
  });
});
