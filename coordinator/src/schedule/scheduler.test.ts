import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Decision, ScheduledTask, ScheduleEvent, TaskFailure } from "./protocol.js";
import { createScheduler, type SchedulerOptions } from "./scheduler.js";

const FAULT: TaskFailure = { code: "COMPUTE", message: "boom", retryable: true };
const DEATH: TaskFailure = { code: "WORKER_LOST", message: "died", retryable: true };
const CHANGED: TaskFailure = { code: "INPUT_CHANGED", message: "changed", retryable: false };

const named = (...ids: string[]): ScheduledTask[] => ids.map((id) => ({ id }));

function harness(tasks: readonly ScheduledTask[], options?: Partial<SchedulerOptions>) {
  const scheduler = createScheduler({ tasks, ...(options === undefined ? {} : { options }) });
  let nowMs = 0;
  const send = (event: ScheduleEvent): readonly Decision[] => scheduler.handle(event, nowMs);
  return {
    send,
    join(workerId: string, count: number): readonly Decision[] {
      send({ kind: "worker-joined", workerId });
      return send({ kind: "credits-granted", workerId, count });
    },
    tick(byMs: number): readonly Decision[] {
      nowMs += byMs;
      return send({ kind: "tick" });
    },
  };
}

describe("scheduler", () => {
  it("assigns in plan order and never more than the credits", () => {
    const { join, send } = harness(named("a", "b", "c"));
    assert.deepEqual(join("w", 2), [
      { kind: "assign", taskId: "a", epoch: 1, workerId: "w" },
      { kind: "assign", taskId: "b", epoch: 1, workerId: "w" },
    ]);
    assert.deepEqual(send({ kind: "task-done", workerId: "w", taskId: "b", epoch: 1 }), [
      { kind: "commit", taskId: "b", epoch: 1 },
    ]);
    assert.deepEqual(send({ kind: "credits-granted", workerId: "w", count: 1 }), [
      { kind: "assign", taskId: "c", epoch: 1, workerId: "w" },
    ]);
  });

  it("finishes at once when there is nothing to do", () => {
    assert.deepEqual(harness([]).tick(0), [{ kind: "finish" }]);
  });

  it("refuses a stale epoch and says whether another result was committed", () => {
    const { join, send, tick } = harness(named("a"));
    join("w", 2);
    assert.deepEqual(tick(60_000), [
      { kind: "revoke", taskId: "a", epoch: 1, workerId: "w", reason: "expired" },
    ]);
    assert.deepEqual(tick(200), [{ kind: "assign", taskId: "a", epoch: 2, workerId: "w" }]);
    const late = { kind: "task-done", workerId: "w", taskId: "a", epoch: 1 } as const;
    assert.deepEqual(send(late), [{ kind: "refuse", taskId: "a", epoch: 1, committed: null }]);
    assert.deepEqual(send({ ...late, epoch: 2 }), [
      { kind: "commit", taskId: "a", epoch: 2 },
      { kind: "finish" },
    ]);
    assert.deepEqual(send(late), [{ kind: "refuse", taskId: "a", epoch: 1, committed: 2 }]);
    assert.deepEqual(send({ ...late, epoch: 2 }), [
      { kind: "refuse", taskId: "a", epoch: 2, committed: 2 },
    ]);
  });

  it("renews a lease while the worker moves bytes and ends it when it does not", () => {
    const { join, send, tick } = harness(named("a"));
    join("w", 1);
    for (let step = 0; step < 5; step += 1) {
      assert.deepEqual(tick(50_000), []);
      send({ kind: "worker-progressed", workerId: "w" });
    }
    assert.equal(tick(60_000)[0]?.kind, "revoke");
  });

  it("retries elsewhere when there is another worker", () => {
    const { join, send, tick } = harness(named("a"));
    join("first", 1);
    send({ kind: "task-failed", workerId: "first", taskId: "a", epoch: 1, failure: FAULT });
    send({ kind: "credits-granted", workerId: "first", count: 1 });
    join("second", 1);
    assert.deepEqual(tick(1_000), [{ kind: "assign", taskId: "a", epoch: 2, workerId: "second" }]);
  });

  it("gives the tasks of a lost worker to the others, and leaves theirs alone", () => {
    const { join, send, tick } = harness(named("a", "b", "c"));
    join("lost", 1);
    join("first", 1);
    join("second", 1);
    assert.deepEqual(send({ kind: "worker-lost", workerId: "lost", failure: DEATH }), []);
    const done = { kind: "task-done", workerId: "first", taskId: "b", epoch: 1 } as const;
    assert.deepEqual(send(done), [{ kind: "commit", taskId: "b", epoch: 1 }]);
    send({ kind: "credits-granted", workerId: "first", count: 1 });
    assert.deepEqual(tick(1_000), [{ kind: "assign", taskId: "a", epoch: 2, workerId: "first" }]);
    const late = { kind: "task-done", workerId: "lost", taskId: "a", epoch: 1 } as const;
    assert.deepEqual(send(late), [{ kind: "refuse", taskId: "a", epoch: 1, committed: null }]);
  });

  it("does not believe a worker about the task of another one", () => {
    const { join, send } = harness(named("a"));
    join("owner", 1);
    join("liar", 1);
    const forged = { kind: "task-done", workerId: "liar", taskId: "a", epoch: 1 } as const;
    assert.deepEqual(send(forged), [{ kind: "refuse", taskId: "a", epoch: 1, committed: null }]);
  });

  it("parks a task after three failures, runs the others, then fails naming it", () => {
    const { join, send, tick } = harness(named("bad", "good"));
    join("w", 1);
    const decisions: Decision[] = [];
    for (let epoch = 1; epoch <= 3; epoch += 1) {
      const failed = { kind: "task-failed", workerId: "w", taskId: "bad", epoch } as const;
      decisions.push(...send({ ...failed, failure: FAULT }));
      decisions.push(...send({ kind: "credits-granted", workerId: "w", count: 1 }));
      decisions.push(...tick(10_000));
      if (epoch > 1) continue;
      // While the failed task waits, the next one runs.
      assert.deepEqual(decisions, [{ kind: "assign", taskId: "good", epoch: 1, workerId: "w" }]);
      send({ kind: "task-done", workerId: "w", taskId: "good", epoch: 1 });
      send({ kind: "credits-granted", workerId: "w", count: 1 });
    }
    const parked = { taskId: "bad", attempts: 3, failure: FAULT };
    assert.deepEqual(decisions.slice(-2), [
      { kind: "park", ...parked },
      { kind: "fail", parked: [parked] },
    ]);
  });

  it("stops assigning after a failure that no retry can mend, and lets running tasks end", () => {
    const { join, send } = harness(named("a", "b", "c"));
    join("w", 2);
    const failed = send({
      kind: "task-failed",
      workerId: "w",
      taskId: "a",
      epoch: 1,
      failure: CHANGED,
    });
    assert.deepEqual(
      failed.map((decision) => decision.kind),
      ["park"],
    );
    assert.deepEqual(send({ kind: "credits-granted", workerId: "w", count: 1 }), []);
    const done = send({ kind: "task-done", workerId: "w", taskId: "b", epoch: 1 });
    assert.deepEqual(
      done.map((decision) => decision.kind),
      ["commit", "fail"],
    );
  });

  it("parks only the task that kills workers, not its neighbours", () => {
    const { send, join, tick } = harness(named("innocent", "killer", "other"));
    const committed: string[] = [];
    const parked: string[] = [];
    let workers = 0;
    let running: { taskId: string; epoch: number }[] = [];
    const apply = (decisions: readonly Decision[]): void => {
      for (const decision of decisions) {
        if (decision.kind === "assign") running.push(decision);
        if (decision.kind === "commit") committed.push(decision.taskId);
        if (decision.kind === "park") parked.push(decision.taskId);
      }
    };
    for (let life = 0; life < 6 && committed.length + parked.length < 3; life += 1) {
      const workerId = `w${++workers}`;
      apply(join(workerId, 2));
      apply(tick(10_000));
      while (running.length > 0 && !running.some((task) => task.taskId === "killer")) {
        const { taskId, epoch } = running.shift() as { taskId: string; epoch: number };
        apply(send({ kind: "task-done", workerId, taskId, epoch }));
        apply(send({ kind: "credits-granted", workerId, count: 1 }));
      }
      running = [];
      apply(send({ kind: "worker-lost", workerId, failure: DEATH }));
    }
    assert.deepEqual(committed.sort(), ["innocent", "other"]);
    assert.deepEqual(parked, ["killer"]);
  });

  it("gives a worker the tasks whose bytes it holds and lets an idle one steal", () => {
    const tasks = [
      { id: "a", preferredWorkers: ["far"] },
      { id: "b", preferredWorkers: ["near"] },
    ];
    const { join, send } = harness(tasks);
    assert.deepEqual(join("near", 1), [
      { kind: "assign", taskId: "b", epoch: 1, workerId: "near" },
    ]);
    assert.deepEqual(send({ kind: "credits-granted", workerId: "near", count: 1 }), [
      { kind: "assign", taskId: "a", epoch: 1, workerId: "near" },
    ]);
  });

  it("revokes what is running on cancel and ends when it has stopped", () => {
    const { join, send } = harness(named("a", "b"));
    join("w", 1);
    assert.deepEqual(send({ kind: "cancel" }), [
      { kind: "revoke", taskId: "a", epoch: 1, workerId: "w", reason: "cancelled" },
    ]);
    assert.deepEqual(send({ kind: "worker-lost", workerId: "w", failure: DEATH }), [
      { kind: "cancelled" },
    ]);
  });

  it("starts epochs above those of an earlier run", () => {
    const { join } = harness(named("a"), { epochFloor: 7 });
    assert.deepEqual(join("w", 1), [{ kind: "assign", taskId: "a", epoch: 8, workerId: "w" }]);
  });

  it("handles 100,000 tasks in seconds", () => {
    const count = 100_000;
    const { join, send } = harness(
      Array.from({ length: count }, (_, index) => ({ id: `${index}` })),
    );
    const started = process.cpuUsage();
    const queue = [...join("w", 4)];
    let commits = 0;
    for (let decision = queue.shift(); decision !== undefined; decision = queue.shift()) {
      if (decision.kind === "commit") commits += 1;
      if (decision.kind !== "assign") continue;
      const { taskId, epoch, workerId } = decision;
      queue.push(...send({ kind: "task-done", workerId, taskId, epoch }));
      queue.push(...send({ kind: "credits-granted", workerId, count: 1 }));
    }
    assert.equal(commits, count);
    const { user } = process.cpuUsage(started);
    assert.ok(user < 5e6, `took ${user / 1e6} s`);
  });
});
