// Bugs put between the coordinator and the fleet, each small and of a kind that schedulers have: the
// simulator has to find every one of them.
import type { Decision, Fleet, FleetDecision, FleetEvent } from "@graft/coordinator";
import type { Plant } from "./run-seed.js";

/** Changes events on their way in and decisions on their way out. */
function plant(change: () => Partial<Change>): Plant {
  return (fleet: Fleet): Fleet => {
    const { before, after } = change();
    return {
      handle(event, nowMs) {
        const told = before === undefined ? event : before(event);
        const decisions = told === null ? [] : fleet.handle(told, nowMs);
        return after === undefined ? decisions : after(decisions, event);
      },
    };
  };
}

interface Change {
  /** null: the fleet never hears of it. */
  before(event: FleetEvent): FleetEvent | null;
  after(decisions: readonly FleetDecision[], event: FleetEvent): readonly FleetDecision[];
}

type Assign = Extract<Decision, { kind: "assign" }>;
type JobDecision = Extract<FleetDecision, { kind: "job" }>;

const eachDecision =
  (change: (decided: JobDecision, event: FleetEvent) => readonly FleetDecision[]) =>
  (decisions: readonly FleetDecision[], event: FleetEvent): readonly FleetDecision[] =>
    decisions.flatMap((decided) => (decided.kind === "job" ? change(decided, event) : [decided]));

/** Drops decisions of a kind. */
const without = (unwanted: (decision: Decision) => boolean): Plant =>
  plant(() => ({
    after: eachDecision((decided) => (unwanted(decided.decision) ? [] : [decided])),
  }));

const deaf = (kind: FleetEvent["kind"]): Plant =>
  plant(() => ({ before: (event) => (event.kind === kind ? null : event) }));

const keyOf = ({ jobId }: JobDecision, taskId: string): string => `${jobId}/${taskId}`;

const acceptsRefused = (isWanted: (committed: number | null) => boolean): Plant =>
  plant(() => ({
    after: eachDecision((decided) => {
      const { jobId, decision } = decided;
      if (decision.kind !== "refuse" || !isWanted(decision.committed)) return [decided];
      const { taskId, epoch } = decision;
      return [{ kind: "job", jobId, decision: { kind: "commit", taskId, epoch } }];
    }),
  }));

/** Swallows assignments, and revocations of what was swallowed. `event` comes before its decisions. */
const swallows = (
  choose: () => {
    readonly event: (event: FleetEvent) => void;
    readonly isSwallowed: (key: string, decision: Assign) => boolean;
    readonly gone: (key: string, epoch: number) => void;
  },
): Plant =>
  plant(() => {
    const { event, isSwallowed, gone } = choose();
    const swallowed = new Set<string>();
    return {
      before(told) {
        event(told);
        return told;
      },
      after: eachDecision((decided) => {
        const { decision } = decided;
        if (decision.kind !== "assign" && decision.kind !== "revoke") return [decided];
        const key = keyOf(decided, decision.taskId);
        const attempt = `${key}@${decision.epoch}`;
        if (decision.kind === "assign" && isSwallowed(key, decision)) swallowed.add(attempt);
        if (decision.kind === "revoke") gone(key, decision.epoch);
        return swallowed.has(attempt) ? [] : [decided];
      }),
    };
  });

const neverSpeculates = swallows(() => {
  const running = new Map<string, Map<number, string>>();
  return {
    event(event) {
      if (event.kind === "task-failed" || event.kind === "task-done") {
        running.get(`${event.jobId}/${event.taskId}`)?.delete(event.epoch);
      }
      if (event.kind !== "worker-lost") return;
      for (const attempts of running.values()) {
        for (const [epoch, workerId] of attempts) {
          if (workerId === event.workerId) attempts.delete(epoch);
        }
      }
    },
    isSwallowed(key, { epoch, workerId }) {
      const attempts = running.get(key) ?? new Map<number, string>();
      running.set(key, attempts.set(epoch, workerId));
      return attempts.size > 1;
    },
    gone: (key, epoch) => running.get(key)?.delete(epoch),
  };
});

const forgetsLostTasks = swallows(() => {
  const workerOf = new Map<string, string>();
  const lost = new Set<string>();
  return {
    event(event) {
      if (event.kind === "task-done") workerOf.delete(`${event.jobId}/${event.taskId}`);
      if (event.kind !== "worker-lost") return;
      for (const [key, workerId] of workerOf) if (workerId === event.workerId) lost.add(key);
    },
    isSwallowed(key, { workerId }) {
      workerOf.set(key, workerId);
      return lost.has(key);
    },
    gone: () => undefined,
  };
});

const finishesEarly: Plant = plant(() => {
  const left = new Map<string, number>();
  const add = (jobId: string, count: number): void => {
    left.set(jobId, (left.get(jobId) ?? 0) + count);
  };
  return {
    before(event) {
      if (event.kind === "job-added") add(event.jobId, event.tasks?.length ?? 0);
      if (event.kind === "tasks-added") add(event.jobId, event.tasks.length);
      return event;
    },
    after: eachDecision((decided) => {
      const { jobId, decision } = decided;
      if (decision.kind !== "commit") return [decided];
      add(jobId, -1);
      if (left.get(jobId) !== 1) return [decided];
      return [decided, { kind: "job", jobId, decision: { kind: "finish" } }];
    }),
  };
});

const ignoresEpochFloor: Plant = plant(() => ({
  before: (event) => (event.kind === "job-added" ? { ...event, epochFloor: 0 } : event),
}));

const ignoresMemory: Plant = plant(() => ({
  before: (event) =>
    event.kind === "worker-joined" ? { kind: event.kind, workerId: event.workerId } : event,
}));

const ignoresCredits: Plant = plant(() => ({
  before: (event) =>
    event.kind === "credits-granted" ? { ...event, count: event.count + 1 } : event,
}));

const ignoresShares: Plant = plant(() => ({
  before: (event) =>
    event.kind === "job-added" ? { ...event, share: { weight: 1, priority: 0 } } : event,
}));

const countsTwice: Plant = plant(() => ({
  after: eachDecision((decided) =>
    decided.decision.kind === "commit" ? [decided, decided] : [decided],
  ),
}));

/** Acts on the job's end and goes on. */
const goesOnAfterEnd: Plant = plant(() => ({
  after: eachDecision((decided) =>
    decided.decision.kind === "cancelled" ? [decided, decided] : [decided],
  ),
}));

const retriesForEver: Plant = plant(() => ({
  before: (event) =>
    event.kind === "task-failed"
      ? { ...event, failure: { ...event.failure, retryable: true } }
      : event,
}));

export const PLANTED_BUGS: readonly (readonly [string, Plant])[] = [
  ["accepts a stale epoch", acceptsRefused((committed) => committed === null)],
  ["commits a late result again", acceptsRefused((committed) => committed !== null)],
  ["says every commit twice", countsTwice],
  ["forgets the tasks of a lost worker", forgetsLostTasks],
  ["does not hear of lost workers", deaf("worker-lost")],
  ["ignores credits", ignoresCredits],
  ["ignores memory", ignoresMemory],
  ["never copies a straggler", neverSpeculates],
  ["lets leases run for ever", deaf("tick")],
  ["finishes before the last task", finishesEarly],
  ["starts epochs anew after a crash", ignoresEpochFloor],
  ["ignores weights and priorities", ignoresShares],
  ["goes on giving to a draining worker", deaf("worker-draining")],
  ["trusts a quarantined worker", deaf("worker-quarantined")],
  ["does not hear a cancel", deaf("cancel")],
  ["never tells a worker to stop", without(({ kind }) => kind === "revoke")],
  ["never says that a job has ended", without(({ kind }) => kind === "finish")],
  ["decides after the end", goesOnAfterEnd],
  ["retries what cannot succeed", retriesForEver],
];
