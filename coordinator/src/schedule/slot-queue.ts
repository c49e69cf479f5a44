// Ready tasks whose bytes nobody holds, by the affinity slot that says who is to cache them. A worker
// sees the first task of each of its slots, merged; when workers come or go, slots change hands whole.
import type { Affinity } from "./affinity.js";
import { type Accepts, createTaskHeap, heapOf, type TaskHeap } from "./task-heap.js";

export interface SlotQueue {
  push(task: number): void;
  take(workerId: string, accepts: Accepts): number | null;
}

export function createSlotQueue(
  isReady: (task: number) => boolean,
  slotOf: (task: number) => number,
  affinity: Affinity,
): SlotQueue {
  const slots = new Map<number, TaskHeap>();
  /** Per worker. An entry counts while it is the first of its slot and the slot is the worker's. */
  const heads = new Map<string, TaskHeap>();
  let version = -1;
  const isHead = (task: number): boolean => slots.get(slotOf(task))?.peek() === task;

  /** The first of a slot may have gone to another worker: the slot goes on with its next task. */
  const createHeads = (): TaskHeap => createTaskHeap(isHead, (task) => showHead(slotOf(task)));

  const showHead = (slot: number): void => {
    const task = slots.get(slot)?.peek();
    const owner = task === undefined ? undefined : affinity.ownerOf(slot);
    if (task !== undefined && owner !== undefined) heapOf(heads, owner, createHeads).push(task);
  };

  const followOwners = (): void => {
    if (version === affinity.version) return;
    version = affinity.version;
    heads.clear();
    for (const slot of slots.keys()) showHead(slot);
  };

  return {
    push(task) {
      const slot = slotOf(task);
      heapOf(slots, slot, () => createTaskHeap(isReady)).push(task);
      if (version === affinity.version && isHead(task)) showHead(slot);
    },
    take(workerId, accepts) {
      followOwners();
      const task = heads.get(workerId)?.take(accepts) ?? null;
      if (task === null) return null;
      const slot = slotOf(task);
      slots.get(slot)?.take((first) => first === task);
      showHead(slot);
      return task;
    },
  };
}
