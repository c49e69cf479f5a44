// What a job knows of one task. Flat and mutable, because a job may have a million of them.
import { rendezvous, slotOf } from "./affinity.js";
import type { Decision, ScheduledTask } from "./protocol.js";
import type { Place } from "./ready-queue.js";
import type { Lease } from "./workers.js";

export interface TaskRecord {
  readonly task: ScheduledTask;
  readonly cost: number;
  readonly memoryBytes: number;
  readonly place: Place;
  state: "ready" | "waiting" | "leased" | "committed" | "parked";
  /** Ready: since then. Waiting: until then. */
  atMs: number;
  /** Of the latest assignment; a copy has one above that of the first attempt. */
  epoch: number;
  /** Whose result counts. */
  committedEpoch: number | null;
  failures: number;
  /** It was running when a worker died, so it runs last and alone. */
  isSuspect: boolean;
  failedOn: readonly string[];
  /** Attempts whose result would be committed: at most two. */
  leases: readonly Lease[];
}

const NONE: readonly never[] = [];

export function createRecord(task: ScheduledTask, epochFloor: number, nowMs: number): TaskRecord {
  const slot = slotOf(task.affinityKey ?? task.id);
  return {
    task,
    cost: Math.max(1, task.costBytes ?? 1),
    memoryBytes: task.memoryBytes ?? 0,
    place: { slot, workers: holders(task, slot) },
    state: "ready",
    atMs: nowMs,
    epoch: epochFloor,
    committedEpoch: null,
    failures: 0,
    isSuspect: false,
    failedOn: NONE,
    leases: NONE,
  };
}

/** Named workers, else the one with the most bytes; of several, the one its slot prefers. */
function holders({ preferredWorkers, localBytes }: ScheduledTask, slot: number): readonly string[] {
  if (preferredWorkers !== undefined) return preferredWorkers;
  if (localBytes === undefined || localBytes.size === 0) return NONE;
  const most = Math.max(0, ...localBytes.values());
  if (most === 0) return NONE;
  const best = [...localBytes].flatMap(([workerId, bytes]) => (bytes === most ? [workerId] : []));
  const one = rendezvous(slot, best);
  return one === undefined ? NONE : [one];
}

export function refusal(record: TaskRecord, epoch: number): Decision {
  return { kind: "refuse", taskId: record.task.id, epoch, committed: record.committedEpoch };
}
