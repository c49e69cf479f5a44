// A heap of task numbers in plan order, which is disk order. Tasks that are not ready any more are
// dropped when they surface.
import { createHeap } from "./heap.js";

/** Entries a worker may not take are looked past this many times, then the worker waits. */
const SKIPPED_MAX = 8;

export type Accepts = (task: number) => boolean;

export interface TaskHeap {
  push(task: number): void;
  /** The first ready task, which stays. */
  peek(): number | undefined;
  /** The first ready task that is accepted, which leaves. */
  take(accepts: Accepts): number | null;
}

export function createTaskHeap(
  isReady: (task: number) => boolean,
  onDropped?: (task: number) => void,
): TaskHeap {
  const heap = createHeap((a, b) => a < b);

  const peek = (): number | undefined => {
    let task = heap.peek();
    while (task !== undefined && !isReady(task)) {
      heap.pop();
      onDropped?.(task);
      task = heap.peek();
    }
    return task;
  };

  return {
    push: (task) => heap.push(task),
    peek,
    take(accepts) {
      const skipped: number[] = [];
      let taken: number | null = null;
      while (taken === null && skipped.length < SKIPPED_MAX) {
        const task = peek();
        if (task === undefined) break;
        heap.pop();
        if (accepts(task)) taken = task;
        else skipped.push(task);
      }
      for (const task of skipped) heap.push(task);
      return taken;
    },
  };
}

export function heapOf<Key>(heaps: Map<Key, TaskHeap>, key: Key, create: () => TaskHeap): TaskHeap {
  const known = heaps.get(key);
  if (known !== undefined) return known;
  const heap = create();
  heaps.set(key, heap);
  return heap;
}
