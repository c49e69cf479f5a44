import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createAffinity, slotOf } from "./affinity.js";
import { createScheduler } from "./scheduler.js";

const WORKERS = ["w0", "w1", "w2", "w3"];
const ids = (count: number): string[] => Array.from({ length: count }, (_, i) => `task-${i}`);

/** Who ran what, when every worker takes as many as it likes, one after the other. */
function placement(order: readonly string[], taskIds: readonly string[]): Map<string, string> {
  const scheduler = createScheduler({ tasks: taskIds.map((id) => ({ id })) });
  const ranOn = new Map<string, string>();
  for (const workerId of order) scheduler.handle({ kind: "worker-joined", workerId }, 0);
  for (let round = 0; ranOn.size < taskIds.length && round < 10_000; round += 1) {
    const workerId = order[round % order.length] as string;
    for (const decision of scheduler.handle({ kind: "credits-granted", workerId, count: 1 }, 0)) {
      if (decision.kind === "assign") ranOn.set(decision.taskId, workerId);
    }
  }
  return ranOn;
}

describe("affinity", () => {
  it("spreads slots evenly", () => {
    const affinity = createAffinity();
    for (const workerId of WORKERS) affinity.join(workerId);
    const counts = new Map<string, number>();
    for (let slot = 0; slot < 4_096; slot += 1) {
      const owner = affinity.ownerOf(slot) ?? "";
      counts.set(owner, (counts.get(owner) ?? 0) + 1);
    }
    for (const count of counts.values()) assert.ok(count > 900 && count < 1_150, `${count}`);
  });

  it("moves only the slots of a worker that leaves, and gives them back when it returns", () => {
    const affinity = createAffinity();
    for (const workerId of WORKERS) affinity.join(workerId);
    const slots = Array.from({ length: 4_096 }, (_, slot) => slot);
    const before = slots.map((slot) => affinity.ownerOf(slot));
    affinity.leave("w1");
    for (const slot of slots) {
      if (before[slot] === "w1") assert.notEqual(affinity.ownerOf(slot), "w1");
      else assert.equal(affinity.ownerOf(slot), before[slot]);
    }
    affinity.join("w1");
    assert.deepEqual(
      slots.map((slot) => affinity.ownerOf(slot)),
      before,
    );
  });

  it("sends a task to the same worker in the next job, whoever asks first", () => {
    const taskIds = ids(400);
    const first = placement(WORKERS, taskIds);
    const second = placement([...WORKERS].reverse(), taskIds.slice(0, 300));
    const same = taskIds.slice(0, 300).filter((id) => first.get(id) === second.get(id)).length;
    // The last tasks of a worker that runs out are stolen.
    assert.ok(same >= 240, `${same} of 300 on the same worker`);
  });

  it("prefers the worker with the most local bytes, and of equals the one of the slot", () => {
    const affinity = createAffinity();
    for (const workerId of WORKERS) affinity.join(workerId);
    const owner = affinity.ownerOf(slotOf("equal"));
    const equals = WORKERS.filter((workerId) => workerId !== owner).slice(0, 1);
    const most = WORKERS[2] as string;
    const scheduler = createScheduler({
      tasks: [
        { id: "most", localBytes: new Map(WORKERS.map((id, i) => [id, i === 2 ? 9 : i])) },
        { id: "equal", localBytes: new Map([...equals, owner ?? ""].map((id) => [id, 5])) },
      ],
    });
    for (const workerId of WORKERS) scheduler.handle({ kind: "worker-joined", workerId }, 0);
    const take = (workerId: string) =>
      scheduler.handle({ kind: "credits-granted", workerId, count: 1 }, 0)[0];
    const expected = [
      [most, "most"],
      [owner ?? "", "equal"],
    ] as const;
    for (const [workerId, taskId] of expected) {
      assert.deepEqual(take(workerId), { kind: "assign", taskId, epoch: 1, workerId });
    }
  });
});
