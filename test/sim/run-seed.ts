// One seed, one schedule: sets the world up, lets time pass until every job has ended, and says which
// promise was broken, if any.
import { createFleet, type Fleet } from "@graft/coordinator";
import { promise, Violation } from "./checks.js";
import { CoordinatorModel } from "./coordinator-model.js";
import { createDraw } from "./draw.js";
import {
  CALM_AT_MS,
  END_AT_MS,
  type JobSpec,
  type Scenario,
  scenarioOf,
  TICK_MS,
} from "./scenario.js";
import type { World } from "./session.js";
import { Timeline } from "./timeline.js";
import { KEEPALIVE_MS, WorkerModel } from "./worker-model.js";

/** Stands between the coordinator and the fleet: how planted bugs get in. */
export type Plant = (fleet: Fleet) => Fleet;

export interface Outcome {
  readonly seed: number;
  readonly kind: Scenario["kind"];
  /** null: every promise was kept. */
  readonly broken: string | null;
  /** Virtual time until the last job had ended. */
  readonly endedAtMs: number;
  readonly assignCount: number;
  readonly ends: readonly string[];
}

const FLEET_OPTIONS = { suspectPatienceMs: 5_000, elsewhereMs: 3_000, memoryPatienceMs: 60_000 };

export function runSeed(seed: number, plant: Plant = (fleet) => fleet): Outcome {
  const scenario = scenarioOf(seed);
  const simulation = new Simulation(scenario, plant);
  try {
    simulation.run();
    if (scenario.kind === "gray") checkGray(scenario, simulation, plant);
    if (scenario.kind === "noise") checkWaste(scenario, simulation);
  } catch (error) {
    // A failed assertion inside the fleet is a finding as well.
    const isFinding = error instanceof Violation || error instanceof Error;
    if (!isFinding) throw error;
    const broken = error instanceof Violation ? error.message : String(error.stack);
    return simulation.outcome(broken);
  }
  return simulation.outcome(null);
}

/** R06: a worker at 1/100 costs at most 1.3 times the time without it, and a tenth of the work. */
function checkGray(scenario: Scenario, simulation: Simulation, plant: Plant): void {
  const healthy = scenario.workers.filter(({ slowness }) => slowness === 1);
  const without = new Simulation({ ...scenario, workers: healthy }, plant);
  without.run();
  const ratio = simulation.endedAtMs / without.endedAtMs;
  promise(ratio <= 1.3, () => `a slow worker made the job ${ratio.toFixed(2)} times as long`);
  checkWaste(scenario, simulation);
}

/** R07: at most a tenth is done twice; where a tenth is less than a task, one task. */
function checkWaste({ jobs }: Scenario, { workMs }: Simulation): void {
  const costs = jobs.flatMap(({ tasks }) => tasks.map(({ costMs }) => costMs));
  const neededMs = costs.reduce((sum, costMs) => sum + costMs, 0);
  const allowedMs = neededMs + Math.max(neededMs / 10, ...costs);
  promise(workMs <= allowedMs, () => `${Math.round(workMs)} ms of work for ${neededMs} ms`);
}

class Simulation {
  readonly #scenario: Scenario;
  readonly #timeline = new Timeline();
  readonly #world: World;
  readonly #coordinator: CoordinatorModel;
  readonly #workers: readonly WorkerModel[];
  readonly #acknowledged = new Set<string>();
  readonly #gone = new Set<string>();
  endedAtMs = 0;

  constructor(scenario: Scenario, plant: Plant) {
    this.#scenario = scenario;
    const { seed, faults, attemptsMax, leaseTtlMs, noise } = scenario;
    const draw = createDraw(seed ^ 0x5eed);
    this.#world = { timeline: this.#timeline, draw, faults };
    const retry = { attemptsMax, delayFirstMs: 200, delayMaxMs: 5_000 };
    const create = (): Fleet => plant(createFleet({ ...FLEET_OPTIONS, retry, leaseTtlMs }));
    this.#coordinator = new CoordinatorModel(scenario, this.#world, create, (workerId) => {
      this.#gone.add(workerId);
      this.#worker(workerId).crash();
    });
    this.#workers = scenario.workers.map(
      (spec) => new WorkerModel(spec, noise, this.#world, this.#coordinator),
    );
  }

  get assignCount(): number {
    return this.#coordinator.assignCount;
  }

  /** Of all attempts together. */
  get workMs(): number {
    return this.#workers.reduce((sum, worker) => sum + worker.workMs, 0);
  }

  run(): void {
    this.#coordinator.start();
    for (const worker of this.#workers) this.#plan(worker);
    for (const job of this.#scenario.jobs) {
      const { id, submitMs, cancelMs } = job;
      this.#timeline.after(submitMs, () => this.#submit(job));
      if (cancelMs !== null) this.#timeline.after(submitMs + cancelMs, () => this.#cancel(id));
    }
    this.#timeline.after(TICK_MS, () => this.#tick());
    while (!this.#isOver() && this.#timeline.step(END_AT_MS));
    this.#checkEnds();
    this.endedAtMs = this.#timeline.nowMs;
  }

  outcome(broken: string | null): Outcome {
    const { seed, kind } = this.#scenario;
    const ends = [...this.#coordinator.journal.jobs.values()].map(({ ended }) => ended ?? "open");
    const { endedAtMs, assignCount } = this;
    return { seed, kind, broken, endedAtMs, assignCount, ends };
  }

  #isOver(): boolean {
    const { jobs } = this.#coordinator.journal;
    if (this.#acknowledged.size < this.#scenario.jobs.length) return false;
    for (const { ended } of jobs.values()) if (ended === null) return false;
    return true;
  }

  #checkEnds(): void {
    const { attemptsMax } = this.#scenario;
    const { jobs } = this.#coordinator.journal;
    for (const { id, tasks, cancelMs } of this.#scenario.jobs) {
      const job = jobs.get(id);
      promise(this.#acknowledged.has(id) && job !== undefined, () => `${id} was not accepted`);
      promise(job.ended !== null, () => `${id} did not end within ${END_AT_MS / 1000} s`);
      const done = job.commits.size;
      promise(job.ended !== "done" || done === tasks.length, () => `${id}: ${done} results`);
      promise(job.ended !== "cancelled" || cancelMs !== null, () => `${id}: not cancelled by us`);
      const mayFail = attemptsMax < 1_000;
      promise(job.ended !== "failed" || mayFail, () => `${id} failed, with nothing wrong in it`);
    }
  }

  #submit(job: JobSpec): void {
    if (this.#acknowledged.has(job.id)) return;
    if (this.#coordinator.isUp && !this.#coordinator.journal.jobs.has(job.id)) {
      this.#coordinator.submit(job, () => this.#acknowledged.add(job.id));
    } else if (this.#coordinator.isUp) this.#acknowledged.add(job.id);
    this.#timeline.after(1_000, () => this.#submit(job));
  }

  /** Until it is acknowledged. */
  #cancel(jobId: string): void {
    const job = this.#coordinator.journal.jobs.get(jobId);
    if (job?.isCancelled === true || (job !== undefined && job.ended !== null)) return;
    if (this.#coordinator.isUp) this.#coordinator.cancel(jobId, () => undefined);
    this.#timeline.after(1_000, () => this.#cancel(jobId));
  }

  #plan(worker: WorkerModel): void {
    const { joinMs, drainMs, quarantineMs, id } = worker.spec;
    const at = (atMs: number | null, run: () => void): void => {
      if (atMs !== null) this.#timeline.after(atMs, run);
    };
    at(joinMs, () => worker.start());
    at(drainMs, () => this.#drain(id));
    at(quarantineMs, () => this.#coordinator.quarantine(id));
  }

  #drain(workerId: string): void {
    if (this.#gone.has(workerId)) return;
    this.#coordinator.drain(workerId);
    this.#timeline.after(2_000, () => this.#drain(workerId));
  }

  #worker(workerId: string): WorkerModel {
    const worker = this.#workers.find(({ spec }) => spec.id === workerId);
    promise(worker !== undefined, () => `${workerId} is not a worker`);
    return worker;
  }

  #tick(): void {
    if (this.#timeline.nowMs < CALM_AT_MS) this.#harm();
    this.#coordinator.tick();
    this.#timeline.after(TICK_MS, () => this.#tick());
  }

  #harm(): void {
    const { draw, faults } = this.#world;
    const happens = (perSecond: number): boolean =>
      perSecond > 0 && draw.chance((perSecond * TICK_MS) / 1_000);
    if (this.#coordinator.isUp && happens(faults.coordinatorCrash)) {
      this.#coordinator.crash();
      this.#timeline.after(draw.between(100, 5_000), () => this.#coordinator.start());
    }
    for (const worker of this.#workers) {
      if (!worker.isAlive) continue;
      if (happens(faults.crash)) this.#crash(worker);
      if (happens(faults.partition)) this.#cut(worker, draw.between(500, 20_000));
      if (!happens(faults.hang)) continue;
      if (draw.chance(0.5)) worker.freeze(draw.between(500, 20_000));
      else worker.stick(draw.between(500, 30_000));
    }
  }

  #crash(worker: WorkerModel): void {
    worker.crash();
    const { draw } = this.#world;
    this.#timeline.after(draw.between(200, 10_000), () => {
      if (!this.#gone.has(worker.spec.id)) worker.start();
    });
  }

  /** Both ways or one way. Whoever hears nothing for long enough gives the session up. */
  #cut(worker: WorkerModel, durationMs: number): void {
    const { draw } = this.#world;
    const untilMs = this.#timeline.nowMs + durationMs;
    const way = draw.below(3);
    if (way !== 1) worker.link.upCutUntilMs = untilMs;
    if (way !== 2) worker.link.downCutUntilMs = untilMs;
    const { session } = worker;
    if (durationMs < KEEPALIVE_MS || session === null) return;
    this.#timeline.after(KEEPALIVE_MS - draw.between(0, 1_000), () =>
      this.#coordinator.lost(session),
    );
    this.#timeline.after(KEEPALIVE_MS - draw.between(0, 1_000), () => worker.closed(session));
  }
}
