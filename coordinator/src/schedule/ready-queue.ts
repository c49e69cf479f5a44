// Tasks of about one size that may be assigned now. Each sits in several heaps at once; whichever gives
// it away first, the others drop it when it surfaces there.
import type { Affinity } from "./affinity.js";
import { createSlotQueue } from "./slot-queue.js";
import { type Accepts, createTaskHeap, heapOf, type TaskHeap } from "./task-heap.js";

export interface Place {
  /** Workers that hold its bytes. */
  readonly workers: readonly string[];
  /** Its place in the affinity table, which counts when no worker holds its bytes. */
  readonly slot: number;
}

export interface ReadyQueue {
  push(task: number): void;
  /** The next task whose bytes the worker holds, or that it is the one to cache. */
  takeOwn(workerId: string, accepts: Accepts): number | null;
  /** Anybody's next task. */
  takeAny(accepts: Accepts): number | null;
  peek(): number | undefined;
}

export function createReadyQueue(
  isReady: (task: number) => boolean,
  placeOf: (task: number) => Place,
  affinity: Affinity,
): ReadyQueue {
  const create = (): TaskHeap => createTaskHeap(isReady);
  const everybody = create();
  const held = new Map<string, TaskHeap>();
  const slots = createSlotQueue(isReady, (task) => placeOf(task).slot, affinity);

  return {
    push(task) {
      everybody.push(task);
      const { workers } = placeOf(task);
      for (const workerId of workers) heapOf(held, workerId, create).push(task);
      if (workers.length === 0) slots.push(task);
    },
    takeOwn: (workerId, accepts) =>
      held.get(workerId)?.take(accepts) ?? slots.take(workerId, accepts),
    takeAny: (accepts) => everybody.take(accepts),
    peek: () => everybody.peek(),
  };
}
