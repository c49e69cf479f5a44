// The ready tasks of a job by memory: a task that does not fit a worker hides no smaller one behind it.
import type { Affinity } from "./affinity.js";
import { createReadyQueue, type Place, type ReadyQueue } from "./ready-queue.js";
import type { Accepts } from "./task-heap.js";

export interface ReadyTasks {
  push(task: number): void;
  /** Of the tasks that may fit: the worker's own first, then anybody's, large ones first. */
  take(workerId: string, freeBytes: number, accepts: Accepts): number | null;
  /** The next task of every size, largest first. */
  heads(): readonly number[];
}

interface SizeClass {
  /** Its tasks take more than half of this, at most this. */
  readonly bound: number;
  readonly queue: ReadyQueue;
}

export function createReadyTasks(options: {
  readonly isReady: (task: number) => boolean;
  readonly placeOf: (task: number) => Place;
  readonly memoryOf: (task: number) => number;
  readonly affinity: Affinity;
}): ReadyTasks {
  const { isReady, placeOf, memoryOf, affinity } = options;
  const classes: SizeClass[] = [];

  const classFor = (bytes: number): SizeClass => {
    const bound = bytes <= 1 ? 1 : 2 ** Math.ceil(Math.log2(bytes));
    const known = classes.find((one) => one.bound === bound);
    if (known !== undefined) return known;
    const added = { bound, queue: createReadyQueue(isReady, placeOf, affinity) };
    classes.push(added);
    classes.sort((a, b) => b.bound - a.bound);
    return added;
  };

  return {
    push: (task) => classFor(memoryOf(task)).queue.push(task),
    take(workerId, freeBytes, accepts) {
      const mayFit = (one: SizeClass): boolean => one.bound <= 1 || one.bound / 2 < freeBytes;
      const fits = (task: number): boolean => memoryOf(task) <= freeBytes && accepts(task);
      for (const one of classes) {
        const task = mayFit(one) ? one.queue.takeOwn(workerId, fits) : null;
        if (task !== null) return task;
      }
      for (const one of classes) {
        const task = mayFit(one) ? one.queue.takeAny(fits) : null;
        if (task !== null) return task;
      }
      return null;
    },
    heads: () =>
      classes.flatMap(({ queue }) => {
        const task = queue.peek();
        return task === undefined ? [] : [task];
      }),
  };
}
