import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createFleet, type FleetDecision, type FleetEvent, type FleetOptions } from "./fleet.js";
import type { Decision, ScheduledTask } from "./protocol.js";

const LOST = { code: "WORKER_LOST", message: "died", retryable: true };
const FAULT = { code: "COMPUTE", message: "boom", retryable: true };

type Assign = Extract<Decision, { kind: "assign" }> & { readonly jobId: string };

function harness(options?: Partial<FleetOptions>) {
  const fleet = createFleet(options);
  let nowMs = 0;
  const send = (event: FleetEvent): readonly FleetDecision[] => fleet.handle(event, nowMs);
  const assigns = (decisions: readonly FleetDecision[]): Assign[] =>
    decisions.flatMap((decided) =>
      decided.kind === "job" && decided.decision.kind === "assign"
        ? [{ ...decided.decision, jobId: decided.jobId }]
        : [],
    );
  return {
    send,
    assigns,
    join(workerId: string, count: number, memoryBytes?: number): Assign[] {
      const memory = memoryBytes === undefined ? {} : { memoryBytes };
      send({ kind: "worker-joined", workerId, ...memory });
      return assigns(send({ kind: "credits-granted", workerId, count }));
    },
    done({ jobId, taskId, epoch, workerId }: Assign): readonly FleetDecision[] {
      return [
        ...send({ kind: "task-done", jobId, taskId, epoch, workerId }),
        ...send({ kind: "credits-granted", workerId, count: 1 }),
      ];
    },
    tick(byMs: number): readonly FleetDecision[] {
      nowMs += byMs;
      return send({ kind: "tick" });
    },
  };
}

const named = (...ids: string[]): ScheduledTask[] => ids.map((id) => ({ id }));
const many = (count: number, costBytes: number): ScheduledTask[] =>
  Array.from({ length: count }, (_, index) => ({ id: `t${index}`, costBytes }));

/** Works off everything on one worker with two credits and counts what each job got, in order. */
function shares(jobs: readonly Extract<FleetEvent, { kind: "job-added" }>[], rounds: number) {
  const { send, join, done, assigns } = harness();
  for (const job of jobs) send(job);
  let running = join("w", 2);
  const bytes = new Map<string, number>();
  for (let round = 0; round < rounds; round += 1) {
    const next = running.shift();
    if (next === undefined) break;
    const job = jobs.find(({ jobId }) => jobId === next.jobId);
    const cost = job?.tasks?.[0]?.costBytes ?? 1;
    bytes.set(next.jobId, (bytes.get(next.jobId) ?? 0) + cost);
    running = [...running, ...assigns(done(next))];
  }
  return bytes;
}

describe("fleet", () => {
  it("shares bytes by weight, whatever the sizes of the tasks", () => {
    const bytes = shares(
      [
        { kind: "job-added", jobId: "large", tasks: many(100, 30), share: { weight: 1 } },
        { kind: "job-added", jobId: "small", tasks: many(900, 10), share: { weight: 3 } },
      ],
      400,
    );
    const ratio = (bytes.get("small") ?? 0) / (bytes.get("large") ?? 1);
    assert.ok(ratio > 2.8 && ratio < 3.2, `small got ${ratio} times as much`);
  });

  it("serves higher priorities first and lets a late job start level", () => {
    const { send, join, done, assigns } = harness();
    send({ kind: "job-added", jobId: "early", tasks: many(50, 1) });
    let [running] = join("w", 1);
    for (let round = 0; round < 20; round += 1) {
      assert.ok(running !== undefined);
      [running] = assigns(done(running));
    }
    send({ kind: "job-added", jobId: "late", tasks: many(50, 1) });
    send({ kind: "job-added", jobId: "urgent", tasks: many(3, 1), share: { priority: 1 } });
    const served: string[] = [];
    for (let round = 0; round < 11; round += 1) {
      assert.ok(running !== undefined);
      [running] = assigns(done(running));
      served.push(running?.jobId ?? "");
    }
    assert.deepEqual(served.slice(0, 3), ["urgent", "urgent", "urgent"]);
    assert.equal(served.slice(3).filter((jobId) => jobId === "late").length, 4);
  });

  it("lets a cancelled job leave and gives its place to the others", () => {
    const { send, join } = harness();
    send({ kind: "job-added", jobId: "a", tasks: named("x", "y") });
    join("w", 1);
    send({ kind: "job-added", jobId: "b", tasks: named("x") });
    send({ kind: "cancel", jobId: "a" });
    const report = { taskId: "x", epoch: 1, workerId: "w", jobId: "a" } as const;
    assert.deepEqual(
      send({ kind: "task-failed", ...report, failure: FAULT }).map((one) => one.kind),
      ["job"],
    );
    const [next] = send({ kind: "credits-granted", workerId: "w", count: 1 });
    assert.ok(next?.kind === "job" && next.jobId === "b" && next.decision.kind === "assign");
  });

  it("waits only a while for what runs in a cancelled job", () => {
    const { send, join, tick } = harness();
    send({ kind: "job-added", jobId: "a", tasks: named("x") });
    join("w", 1);
    send({ kind: "cancel", jobId: "a" });
    assert.deepEqual(tick(1_000), []);
    send({ kind: "worker-progressed", workerId: "w" });
    assert.deepEqual(
      tick(15_000).map((one) => (one.kind === "job" ? one.decision.kind : one.kind)),
      ["revoke", "cancelled"],
    );
  });

  it("ends a job whose tasks come in pieces only when it has them all", () => {
    const { send, join, done } = harness();
    send({ kind: "job-added", jobId: "j", tasks: named("a"), isOpen: true });
    const [first] = join("w", 1);
    assert.ok(first !== undefined);
    assert.equal(done(first).length, 1);
    send({ kind: "tasks-added", jobId: "j", tasks: [] });
    assert.deepEqual(send({ kind: "job-sealed", jobId: "j" }), [
      { kind: "job", jobId: "j", decision: { kind: "finish" } },
    ]);
  });
});

describe("memory", () => {
  it("is never promised twice, and a task that must wait hides no smaller one", () => {
    const { send, join, done, assigns } = harness();
    const tasks = [
      { id: "half", memoryBytes: 50 },
      ...Array.from({ length: 20 }, (_, index) => ({ id: `large${index}`, memoryBytes: 60 })),
      { id: "small", memoryBytes: 10 },
    ];
    send({ kind: "job-added", jobId: "j", tasks });
    const running = join("w", 4, 100);
    assert.deepEqual(
      running.map(({ taskId }) => taskId),
      ["half", "small"],
    );
    const [half] = running;
    assert.ok(half !== undefined);
    assert.deepEqual(
      assigns(done(half)).map(({ taskId }) => taskId),
      ["large0"],
    );
  });

  it("that no worker has parks the task, says so and fails the job", () => {
    const { send, join, tick } = harness();
    send({ kind: "job-added", jobId: "j", tasks: [{ id: "huge", memoryBytes: 101 }] });
    join("w", 1, 100);
    assert.deepEqual(tick(20_000), []);
    const decided = [...tick(20_000), ...tick(0)];
    assert.deepEqual(
      decided.map((one) => (one.kind === "job" ? one.decision.kind : one.kind)),
      ["park", "fail"],
    );
    assert.match(
      JSON.stringify(decided),
      /needs 101 bytes of memory, the largest worker allows 100/,
    );
  });
});

describe("workers that leave", () => {
  it("a draining one gets no more, finishes what it has and is then let go", () => {
    const { send, join, done } = harness();
    send({ kind: "job-added", jobId: "j", tasks: named("a", "b", "c") });
    const [a, b] = join("w", 2);
    assert.ok(a !== undefined && b !== undefined);
    assert.deepEqual(send({ kind: "worker-draining", workerId: "w" }), []);
    assert.equal(done(a).length, 1);
    assert.deepEqual(done(b).at(-1), { kind: "worker-drained", workerId: "w" });
  });

  it("a quarantined one loses its tasks to others, is refused and gets none when it comes back", () => {
    const { send, join, assigns, tick } = harness();
    send({ kind: "job-added", jobId: "j", tasks: named("a") });
    join("bad", 1);
    send({ kind: "worker-joined", workerId: "good" });
    send({ kind: "credits-granted", workerId: "good", count: 1 });
    const decided = send({ kind: "worker-quarantined", workerId: "bad" });
    assert.deepEqual(
      assigns(decided).map(({ workerId, epoch }) => [workerId, epoch]),
      [["good", 2]],
    );
    const late = { jobId: "j", taskId: "a", epoch: 1, workerId: "bad" } as const;
    const [refused] = send({ kind: "task-done", ...late });
    assert.ok(refused?.kind === "job" && refused.decision.kind === "refuse");
    send({ kind: "worker-lost", workerId: "bad", failure: LOST });
    send({ kind: "job-added", jobId: "k", tasks: named("b") });
    assert.deepEqual(join("bad", 1), []);
    assert.deepEqual(tick(1_000), []);
  });

  it("a result that is not to be believed is made once more", () => {
    const { send, join, assigns, done } = harness();
    send({ kind: "job-added", jobId: "j", tasks: named("a", "b") });
    const [a] = join("w", 1);
    assert.ok(a !== undefined);
    const [b] = assigns(done(a));
    assert.ok(b !== undefined);
    send({ kind: "task-reopened", jobId: "j", taskId: "a" });
    const [again] = assigns(done(b));
    assert.deepEqual([again?.taskId, again?.epoch], ["a", 2]);
    assert.ok(again !== undefined);
    assert.deepEqual(
      done(again).map((one) => (one.kind === "job" ? one.decision.kind : one.kind)),
      ["commit", "finish"],
    );
  });
});

describe("suspects", () => {
  it("make a busy worker empty itself for them when they have waited long enough", () => {
    const { send, join, done, assigns, tick } = harness({ suspectPatienceMs: 5_000 });
    send({ kind: "job-added", jobId: "a", tasks: named("suspect") });
    join("lost", 1);
    send({ kind: "worker-lost", workerId: "lost", failure: LOST });
    send({ kind: "job-added", jobId: "b", tasks: many(1_000, 1) });
    let running = join("busy", 2);
    tick(1_000);
    for (let round = 0; round < 20; round += 1) {
      const next = running.shift();
      assert.ok(next !== undefined);
      if (next.jobId === "a") {
        assert.equal(running.length, 0, "it runs alone");
        return;
      }
      tick(1_000);
      running = [...running, ...assigns(done(next))];
    }
    assert.fail("the suspect never ran");
  });
});
