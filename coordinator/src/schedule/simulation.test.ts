// The scheduler under a seeded world that drops, duplicates, delays and crashes. Every failing seed
// is printed by the assertion and replays alone with GRAFT_SIM_SEED.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Decision, ScheduleEvent } from "./protocol.js";
import { createScheduler, type Scheduler } from "./scheduler.js";

const SEEDS = 1000;
/** Faults stop here, after which everything must end. */
const CALM_AT_MS = 600_000;
const END_AT_MS = 3_600_000;
const LEASE_TTL_MS = 30_000;
const ATTEMPTS_MAX = 1000;

/** mulberry32: small, seedable, good enough to choose faults. */
function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

class World {
  readonly taskCount: number;
  readonly commits = new Map<string, number>();
  readonly decisionCounts = new Map<string, number>();
  nowMs = 0;
  epochMax = 0;
  ended: Decision | null = null;
  readonly #random: () => number;
  readonly #lossRate: number;
  readonly #crashRate: number;
  readonly #scheduler: Scheduler;
  readonly #alive = new Set<string>();
  #workersStarted = 0;
  #pending: { readonly atMs: number; readonly run: () => void }[] = [];

  constructor(seed: number) {
    this.#random = createRandom(seed);
    this.taskCount = this.#below(40) + 1;
    this.#lossRate = this.#random() * 0.2;
    this.#crashRate = this.#random() * 0.02;
    const tasks = Array.from({ length: this.taskCount }, (_, index) => ({ id: `t${index}` }));
    const retry = { attemptsMax: ATTEMPTS_MAX, delayFirstMs: 100, delayMaxMs: 5_000 };
    this.#scheduler = createScheduler({ tasks, options: { leaseTtlMs: LEASE_TTL_MS, retry } });
    const workerCount = this.#below(5) + 1;
    for (let index = 0; index < workerCount; index += 1) this.#startWorker();
    this.#later(0, () => this.#tick());
  }

  run(): this {
    while (this.ended === null && this.nowMs < END_AT_MS) {
      this.#pending.sort((a, b) => a.atMs - b.atMs);
      const next = this.#pending.shift();
      assert(next !== undefined);
      this.nowMs = next.atMs;
      next.run();
    }
    return this;
  }

  #below(bound: number): number {
    return Math.floor(this.#random() * bound);
  }

  #faulty(rate: number): boolean {
    return this.nowMs < CALM_AT_MS && this.#random() < rate;
  }

  #later(delayMs: number, run: () => void): void {
    this.#pending.push({ atMs: this.nowMs + delayMs, run });
  }

  #startWorker(): void {
    this.#workersStarted += 1;
    const workerId = `w${this.#workersStarted}`;
    this.#alive.add(workerId);
    this.#feed({ kind: "worker-joined", workerId });
    this.#feed({ kind: "credits-granted", workerId, count: this.#below(3) + 1 });
  }

  #tick(): void {
    for (const workerId of [...this.#alive]) {
      if (!this.#faulty(this.#crashRate)) continue;
      this.#alive.delete(workerId);
      const failure = { code: "WORKER_LOST", message: "crash", retryable: true };
      this.#feed({ kind: "worker-lost", workerId, failure });
      this.#later(this.#random() * 5_000, () => this.#startWorker());
    }
    this.#feed({ kind: "tick" });
    this.#later(1_000, () => this.#tick());
  }

  #feed(event: ScheduleEvent): void {
    for (const decision of this.#scheduler.handle(event, this.nowMs)) {
      const { kind } = decision;
      this.decisionCounts.set(kind, (this.decisionCounts.get(kind) ?? 0) + 1);
      if (kind === "assign") this.#work(decision);
      if (kind === "commit") {
        this.commits.set(decision.taskId, (this.commits.get(decision.taskId) ?? 0) + 1);
      }
      if (kind === "finish" || kind === "fail") this.ended = decision;
    }
  }

  #work(assignment: Extract<Decision, { kind: "assign" }>): void {
    const { taskId, epoch, workerId } = assignment;
    this.epochMax = Math.max(this.epochMax, epoch);
    // An assignment that was lost frees its place on the worker when the lease is over.
    const lost = this.#faulty(this.#lossRate);
    const durationMs = lost ? LEASE_TTL_MS : this.#random() * 20_000;
    this.#later(durationMs, () => {
      if (!this.#alive.has(workerId)) return;
      const failure = { code: "IO", message: "fault", retryable: true };
      if (!lost && this.#faulty(0.05)) {
        this.#deliver({ kind: "task-failed", workerId, taskId, epoch, failure });
      } else if (!lost) {
        this.#deliver({ kind: "task-done", workerId, taskId, epoch });
      }
      this.#feed({ kind: "credits-granted", workerId, count: 1 });
    });
  }

  /** A report: lost, doubled, reordered or as late as three leases while faults last. */
  #deliver(event: ScheduleEvent): void {
    if (this.#faulty(this.#lossRate)) return;
    const copies = this.#faulty(this.#lossRate) ? 2 : 1;
    for (let copy = 0; copy < copies; copy += 1) {
      const delayMs = this.#random() * (this.#faulty(0.1) ? 3 * LEASE_TTL_MS : 50);
      this.#later(delayMs, () => this.#feed(event));
    }
  }
}

describe("scheduler simulation", () => {
  const only = process.env.GRAFT_SIM_SEED;
  const seeds = only === undefined ? [...Array(SEEDS).keys()] : [Number(only)];

  it("commits every task exactly once, loses none and ends, whatever is dropped or doubled", () => {
    const seen = new Set<string>();
    for (const seed of seeds) {
      const world = new World(seed).run();
      assert.equal(world.ended?.kind, "finish", `seed ${seed}: did not finish`);
      assert.equal(world.commits.size, world.taskCount, `seed ${seed}: a task was lost`);
      for (const [task, count] of world.commits) {
        assert.equal(count, 1, `seed ${seed}: ${task} committed ${count} times`);
      }
      assert.ok(world.epochMax < ATTEMPTS_MAX, `seed ${seed}: unbounded retries`);
      for (const kind of world.decisionCounts.keys()) seen.add(kind);
    }
    // The faults really happened: otherwise this suite proves nothing.
    if (only === undefined) for (const kind of ["revoke", "refuse"]) assert.ok(seen.has(kind));
  });

  it("replays a seed decision for decision", () => {
    for (const seed of [1, 2, 3]) {
      const [first, second] = [new World(seed).run(), new World(seed).run()];
      assert.deepEqual([...first.decisionCounts], [...second.decisionCounts], `seed ${seed}`);
      assert.equal(first.nowMs, second.nowMs);
    }
  });
});
