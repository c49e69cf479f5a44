// Tasks that may be assigned now, in plan order, which is disk order. Each entry may sit in several
// heaps; `isReady` decides when it surfaces whether it still counts.
import { createHeap, type Heap } from "./heap.js";

/** Entries a worker may not take are looked past this many times, then the worker waits. */
const SKIPPED_MAX = 8;

export interface ReadyQueue {
  push(task: number, preferredWorkers: readonly string[]): void;
  /** The worker's own tasks first, then anybody's. `accepts` may turn an entry down for now. */
  take(workerId: string, accepts: (task: number) => boolean): number | null;
  forgetWorker(workerId: string): void;
}

const byPlanOrder = (a: number, b: number): boolean => a < b;

export function createReadyQueue(isReady: (task: number) => boolean): ReadyQueue {
  const everybody = createHeap(byPlanOrder);
  const nobodys = createHeap(byPlanOrder);
  const own = new Map<string, Heap>();

  const takeFrom = (heap: Heap, accepts: (task: number) => boolean): number | null => {
    const skipped: number[] = [];
    let taken: number | null = null;
    while (taken === null && skipped.length < SKIPPED_MAX) {
      const task = heap.pop();
      if (task === undefined) break;
      if (!isReady(task)) continue;
      if (accepts(task)) taken = task;
      else skipped.push(task);
    }
    for (const task of skipped) heap.push(task);
    return taken;
  };

  return {
    push(task, preferredWorkers) {
      everybody.push(task);
      if (preferredWorkers.length === 0) nobodys.push(task);
      for (const workerId of preferredWorkers) {
        let heap = own.get(workerId);
        if (heap === undefined) {
          heap = createHeap(byPlanOrder);
          own.set(workerId, heap);
        }
        heap.push(task);
      }
    },
    take(workerId, accepts) {
      const mine = own.get(workerId);
      return (
        (mine === undefined ? null : takeFrom(mine, accepts)) ??
        takeFrom(nobodys, accepts) ??
        takeFrom(everybody, accepts)
      );
    },
    forgetWorker(workerId) {
      own.delete(workerId);
    },
  };
}
