// What a seed stands for: the workers, the jobs and how much goes wrong. Faults end at a fixed time, and
// one worker is healthy, large and never sent away, so that every job can end.
import { createDraw, type Draw } from "./draw.js";

export interface TaskSpec {
  readonly id: string;
  /** Milliseconds on a healthy worker. */
  readonly costMs: number;
  readonly memoryBytes: number;
  readonly localWorkers: readonly string[];
  /** fatal: no attempt can succeed. poison: kills the worker. */
  readonly nature: "good" | "fatal" | "poison";
}

export interface JobSpec {
  readonly id: string;
  readonly submitMs: number;
  readonly cancelMs: number | null;
  readonly priority: number;
  readonly weight: number;
  readonly tasks: readonly TaskSpec[];
}

export interface WorkerSpec {
  readonly id: string;
  readonly joinMs: number;
  /** It is drained then, and stops when it has nothing left to do. */
  readonly drainMs: number | null;
  readonly quarantineMs: number | null;
  /** How many times longer than on a healthy worker a task takes. */
  readonly slowness: number;
  readonly credits: number;
  readonly memoryBytes: number;
}

/** Probabilities per second and worker, or per message, while faults last. */
export interface Faults {
  readonly crash: number;
  readonly partition: number;
  readonly hang: number;
  readonly coordinatorCrash: number;
  readonly taskFailure: number;
  readonly drop: number;
  readonly duplicate: number;
  readonly reorder: number;
  readonly delayMaxMs: number;
}

export interface Scenario {
  readonly seed: number;
  readonly kind: "chaos" | "gray" | "noise" | "fair";
  readonly workers: readonly WorkerSpec[];
  readonly jobs: readonly JobSpec[];
  readonly faults: Faults;
  readonly attemptsMax: number;
  /** Durations differ by up to this factor either way. */
  readonly noise: number;
  readonly leaseTtlMs: number;
}

export const CALM_AT_MS = 40_000;
/** Everything must have ended by then. */
export const END_AT_MS = 1_200_000;
export const TICK_MS = 500;

const NO_FAULTS: Faults = {
  ...{ crash: 0, partition: 0, hang: 0, coordinatorCrash: 0, taskFailure: 0 },
  ...{ drop: 0, duplicate: 0, reorder: 0, delayMaxMs: 5 },
};

const plainWorker = (index: number): WorkerSpec => ({
  ...{ id: `w${index}`, joinMs: 0, drainMs: null, quarantineMs: null },
  ...{ slowness: 1, credits: 2, memoryBytes: 100 },
});

const plainTask = (id: string, costMs: number): TaskSpec => ({
  ...{ id, costMs, memoryBytes: 0, localWorkers: [], nature: "good" },
});

const plainJob = (id: string, tasks: readonly TaskSpec[]): JobSpec => ({
  ...{ id, submitMs: 0, cancelMs: null, priority: 0, weight: 1, tasks },
});

export function scenarioOf(seed: number): Scenario {
  const draw = createDraw(seed);
  const which = draw.below(10);
  if (which === 0) return grayScenario(seed, draw);
  if (which === 1) return noiseScenario(seed, draw);
  if (which === 2) return fairScenario(seed, draw);
  return chaosScenario(seed, draw);
}

/** One worker at 1/100 speed among healthy ones; ten rounds or more, so that the tail is small. */
function grayScenario(seed: number, draw: Draw): Scenario {
  const workers = Array.from({ length: 3 + draw.below(4) }, (_, index) => plainWorker(index));
  const slow = workers.length - 1;
  const count = slow * 2 * (10 + draw.below(4));
  const costMs = draw.between(2_000, 4_000);
  const tasks = Array.from({ length: count }, (_, index) => plainTask(`t${index}`, costMs));
  return {
    ...{ seed, kind: "gray", faults: NO_FAULTS, attemptsMax: 3, noise: 1.1, leaseTtlMs: 60_000 },
    workers: workers.map((one, index) => (index === slow ? { ...one, slowness: 100 } : one)),
    jobs: [plainJob("j0", tasks)],
  };
}

/** All workers alike, all tasks noisy. */
function noiseScenario(seed: number, draw: Draw): Scenario {
  const workers = Array.from({ length: 2 + draw.below(6) }, (_, index) => ({
    ...plainWorker(index),
    slowness: 10,
  }));
  const tasks = Array.from({ length: 30 + draw.below(40) }, (_, index) =>
    plainTask(`t${index}`, draw.between(500, 1_500)),
  );
  const noise = 1.2 + draw.between(0, 0.8);
  return {
    ...{ seed, kind: "noise", faults: NO_FAULTS, attemptsMax: 3, noise, leaseTtlMs: 60_000 },
    ...{ workers, jobs: [plainJob("j0", tasks)] },
  };
}

/** Jobs of different weights, and one of a higher priority that comes later. */
function fairScenario(seed: number, draw: Draw): Scenario {
  const workers = Array.from({ length: 1 + draw.below(4) }, (_, index) => plainWorker(index));
  const jobs = Array.from({ length: 2 + draw.below(3) }, (_, job) => {
    const count = 12 + draw.below(24);
    const tasks = Array.from({ length: count }, (_unused, index) =>
      plainTask(`t${index}`, draw.between(200, 2_000)),
    );
    return { ...plainJob(`j${job}`, tasks), weight: draw.oneOf([1, 2, 4]) };
  });
  const late = { ...plainJob("late", jobs[0]?.tasks ?? []), priority: 1, submitMs: 4_000 };
  return {
    ...{ seed, kind: "fair", faults: NO_FAULTS, attemptsMax: 3, noise: 1.1, leaseTtlMs: 60_000 },
    ...{ workers, jobs: draw.chance(0.5) ? [...jobs, late] : jobs },
  };
}

function chaosScenario(seed: number, draw: Draw): Scenario {
  const workers = Array.from({ length: 1 + draw.below(5) }, (_, index) => chaosWorker(index, draw));
  const attemptsMax = draw.chance(0.5) ? 3 : 1_000;
  const jobs = Array.from({ length: 1 + draw.below(3) }, (_, index) =>
    chaosJob(`j${index}`, workers, attemptsMax === 3, draw),
  );
  const rate = (most: number): number => (draw.chance(0.5) ? 0 : draw.between(0, most));
  const faults: Faults = {
    crash: rate(0.05),
    partition: rate(0.05),
    hang: rate(0.05),
    coordinatorCrash: rate(0.05),
    taskFailure: rate(0.2),
    drop: rate(0.1),
    duplicate: rate(0.2),
    reorder: rate(0.2),
    delayMaxMs: draw.oneOf([5, 50, 500]),
  };
  const leaseTtlMs = draw.between(9_500, 15_000);
  return {
    ...{ seed, kind: "chaos", workers, jobs, faults, attemptsMax, leaseTtlMs },
    noise: draw.between(1, 2),
  };
}

function chaosWorker(index: number, draw: Draw): WorkerSpec {
  const plain = { ...plainWorker(index), credits: 1 + draw.below(4) };
  if (index === 0) return plain;
  const joinMs = draw.chance(0.7) ? 0 : draw.between(0, CALM_AT_MS);
  return {
    ...plain,
    joinMs,
    drainMs: draw.chance(0.15) ? joinMs + draw.between(0, CALM_AT_MS) : null,
    quarantineMs: draw.chance(0.08) ? draw.between(0, CALM_AT_MS) : null,
    slowness: draw.chance(0.2) ? draw.oneOf([3, 10, 100]) : 1,
    memoryBytes: draw.oneOf([20, 60, 100]),
  };
}

function chaosJob(
  id: string,
  workers: readonly WorkerSpec[],
  mayFail: boolean,
  draw: Draw,
): JobSpec {
  const tasks = Array.from({ length: 1 + draw.below(24) }, (_, index) => ({
    ...plainTask(`t${index}`, draw.between(100, 4_000)),
    memoryBytes: draw.oneOf([0, 0, 15, 50, 100]),
    localWorkers: draw.chance(0.3) ? [draw.oneOf(workers).id] : [],
  }));
  const odd = draw.below(tasks.length);
  const spoil = (task: TaskSpec): TaskSpec => {
    const kind = draw.below(4);
    if (kind === 0) return { ...task, nature: "fatal" };
    if (kind === 1) return { ...task, nature: "poison" };
    return kind === 2 ? { ...task, memoryBytes: 101 } : task;
  };
  const isSpoilt = mayFail && draw.chance(0.25);
  return {
    ...{ id, submitMs: draw.between(0, 20_000), weight: draw.oneOf([1, 2]) },
    cancelMs: draw.chance(0.1) ? draw.between(0, CALM_AT_MS) : null,
    priority: draw.chance(0.2) ? 1 : 0,
    tasks: tasks.map((task, index) => (isSpoilt && index === odd ? spoil(task) : task)),
  };
}
