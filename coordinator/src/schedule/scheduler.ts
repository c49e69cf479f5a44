// One job on workers of its own: a fleet with a single job, for callers that have no other.
import { createFleet, FLEET_DEFAULTS, type FleetEvent, type FleetOptions } from "./fleet.js";
import type { Decision, ScheduledTask, ScheduleEvent } from "./protocol.js";

export interface SchedulerOptions extends FleetOptions {
  /** Epochs start above this number, so that results of an earlier run are refused. */
  readonly epochFloor: number;
}

export const SCHEDULER_DEFAULTS: SchedulerOptions = { ...FLEET_DEFAULTS, epochFloor: 0 };

export interface Scheduler {
  /** Amortised O(log tasks), plus the number of running tasks for a tick. Times never go backwards. */
  handle(event: ScheduleEvent, nowMs: number): readonly Decision[];
}

const jobId = "only";

/** The tasks enter with the first event. Late results are still answered after the end. */
export function createScheduler(setup: {
  readonly tasks: readonly ScheduledTask[];
  readonly options?: Partial<SchedulerOptions>;
}): Scheduler {
  const { tasks, options } = setup;
  const { epochFloor, ...fleetOptions } = { ...SCHEDULER_DEFAULTS, ...options };
  const fleet = createFleet(fleetOptions);
  let isAdded = false;

  const decide = (event: FleetEvent, nowMs: number): readonly Decision[] =>
    fleet
      .handle(event, nowMs)
      .flatMap((decided) => (decided.kind === "job" ? [decided.decision] : []));

  return {
    handle(event, nowMs) {
      const first = isAdded ? [] : decide({ kind: "job-added", jobId, tasks, epochFloor }, nowMs);
      isAdded = true;
      return [...first, ...decide(toFleetEvent(event), nowMs)];
    },
  };
}

function toFleetEvent(event: ScheduleEvent): FleetEvent {
  switch (event.kind) {
    case "task-done":
    case "task-failed":
    case "task-reopened":
    case "cancel":
      return { ...event, jobId };
    default:
      return event;
  }
}
