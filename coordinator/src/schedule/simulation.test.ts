// The scheduler under a seeded world that drops, duplicates, delays and crashes. Every failing seed
// is printed by the assertion and replays alone with GRAFT_SIM_SEED.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Decision, ScheduleEvent } from "./protocol.js";
import { createScheduler } from "./scheduler.js";

const SEEDS = 1000;
/** Faults stop here, after which everything must end. */
const CALM_AT_MS = 600_000;
const END_AT_MS = 3_600_000;
const ATTEMPTS_MAX = 1000;

type Random = () => number;

/** mulberry32: small, seedable, good enough to choose faults. */
function createRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface World {
  readonly random: Random;
  readonly commits: Map<string, number>;
  readonly decisionKinds: Map<string, number>;
  ended: Decision | null;
  nowMs: number;
}

interface Pending {
  readonly atMs: number;
  readonly run: () => void;
}

function simulate(seed: number): World & { readonly taskCount: number; readonly epochs: number } {
  const random = createRandom(seed);
  const taskCount = 1 + Math.floor(random() * 40);
  const workerCount = 1 + Math.floor(random() * 5);
  const lossRate = random() * 0.2;
  const crashRate = random() * 0.02;
  const tasks = Array.from({ length: taskCount }, (_, index) => ({ id: `t${index}` }));
  const retry = { attemptsMax: ATTEMPTS_MAX, delayFirstMs: 100, delayMaxMs: 5_000 };
  const scheduler = createScheduler({ tasks, options: { leaseTtlMs: 30_000, retry } });
  const world: World = {
    random,
    commits: new Map(),
    decisionKinds: new Map(),
    ended: null,
    nowMs: 0,
  };
  let epochs = 0;
  let generation = 0;
  const alive = new Set<string>();
  const queue: Pending[] = [];

  const later = (delayMs: number, run: () => void): void => {
    queue.push({ atMs: world.nowMs + delayMs, run });
  };
  const faulty = (rate: number): boolean => world.nowMs < CALM_AT_MS && random() < rate;

  /** A message to the scheduler: lost, doubled or late while faults last. */
  const deliver = (workerId: string, event: ScheduleEvent): void => {
    if (faulty(lossRate)) return;
    const copies = faulty(lossRate) ? 2 : 1;
    for (let copy = 0; copy < copies; copy += 1) {
      later(random() * (faulty(0.1) ? 90_000 : 50), () => {
        if (event.kind !== "worker-lost" && event.kind !== "task-done" && !alive.has(workerId))
          return;
        feed(event);
      });
    }
  };

  const run = (decision: Extract<Decision, { kind: "assign" }>): void => {
    const { taskId, epoch, workerId } = decision;
    epochs = Math.max(epochs, epoch);
    const regrant = (): void => {
      if (alive.has(workerId)) feed({ kind: "credits-granted", workerId, count: 1 });
    };
    if (faulty(lossRate)) return later(35_000, regrant);
    later(random() * 20_000, () => {
      if (!alive.has(workerId)) return;
      const failure = { code: "IO", message: "fault", retryable: true };
      deliver(
        workerId,
        faulty(0.05)
          ? { kind: "task-failed", workerId, taskId, epoch, failure }
          : { kind: "task-done", workerId, taskId, epoch },
      );
      later(60, regrant);
    });
  };

  const feed = (event: ScheduleEvent): void => {
    for (const decision of scheduler.handle(event, world.nowMs)) {
      world.decisionKinds.set(decision.kind, (world.decisionKinds.get(decision.kind) ?? 0) + 1);
      if (decision.kind === "assign") run(decision);
      if (decision.kind === "commit") {
        world.commits.set(decision.taskId, (world.commits.get(decision.taskId) ?? 0) + 1);
      }
      if (decision.kind === "finish" || decision.kind === "fail") world.ended = decision;
    }
  };

  const startWorker = (): void => {
    const workerId = `w${++generation}`;
    alive.add(workerId);
    feed({ kind: "worker-joined", workerId });
    feed({ kind: "credits-granted", workerId, count: 1 + Math.floor(random() * 3) });
  };

  const tick = (): void => {
    for (const workerId of [...alive]) {
      if (!faulty(crashRate)) continue;
      alive.delete(workerId);
      feed({
        kind: "worker-lost",
        workerId,
        failure: { code: "WORKER_LOST", message: "crash", retryable: true },
      });
      later(random() * 5_000, startWorker);
    }
    feed({ kind: "tick" });
    later(1_000, tick);
  };

  for (let index = 0; index < workerCount; index += 1) startWorker();
  later(0, tick);
  while (world.ended === null && world.nowMs < END_AT_MS) {
    let next = 0;
    for (let index = 1; index < queue.length; index += 1) {
      if ((queue[index] as Pending).atMs < (queue[next] as Pending).atMs) next = index;
    }
    const pending = queue[next] as Pending;
    queue[next] = queue[queue.length - 1] as Pending;
    queue.pop();
    world.nowMs = pending.atMs;
    pending.run();
  }
  return { ...world, taskCount, epochs };
}

describe("scheduler simulation", () => {
  const only = process.env["GRAFT_SIM_SEED"];
  const seeds =
    only === undefined ? Array.from({ length: SEEDS }, (_, seed) => seed) : [Number(only)];

  it("commits every task exactly once, loses none and ends, whatever is dropped or doubled", () => {
    const seen = new Map<string, number>();
    for (const seed of seeds) {
      const world = simulate(seed);
      assert.equal(world.ended?.kind, "finish", `seed ${seed}: did not finish`);
      assert.equal(world.commits.size, world.taskCount, `seed ${seed}: a task was lost`);
      for (const [task, count] of world.commits) {
        assert.equal(count, 1, `seed ${seed}: ${task} committed ${count} times`);
      }
      assert.ok(world.epochs <= ATTEMPTS_MAX, `seed ${seed}: unbounded retries`);
      for (const [kind, count] of world.decisionKinds)
        seen.set(kind, (seen.get(kind) ?? 0) + count);
    }
    // The faults really happened: otherwise this suite proves nothing.
    if (only === undefined) for (const kind of ["revoke", "refuse"]) assert.ok(seen.get(kind));
  });

  it("replays a seed decision for decision", () => {
    for (const seed of [1, 2, 3]) {
      const [first, second] = [simulate(seed), simulate(seed)];
      assert.deepEqual([...first.decisionKinds], [...second.decisionKinds], `seed ${seed}`);
      assert.equal(first.nowMs, second.nowMs);
    }
  });
});
