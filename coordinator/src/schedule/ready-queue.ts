// Tasks of about one size that may be assigned now, in plan order, which is disk order. Each entry may
// sit in several heaps; `isReady` decides when it surfaces whether it still counts.
import type { Affinity } from "./affinity.js";
import { createHeap, type Heap } from "./heap.js";

/** Entries a worker may not take are looked past this many times, then the worker waits. */
const SKIPPED_MAX = 8;

export type Accepts = (task: number) => boolean;

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
  peek(): number | null;
}

const byPlanOrder = (a: number, b: number): boolean => a < b;

export function createReadyQueue(
  isReady: (task: number) => boolean,
  placeOf: (task: number) => Place,
  affinity: Affinity,
): ReadyQueue {
  const everybody = createHeap(byPlanOrder);
  const held = new Map<string, Heap>();
  const slots = new Map<number, Heap>();
  /** The first task of every slot of a worker: a merge of its slots, which follow it by reference. */
  const heads = new Map<string, Heap>();
  let headsVersion = -1;

  const heapOf = <Key>(heaps: Map<Key, Heap>, key: Key): Heap => {
    const known = heaps.get(key);
    if (known !== undefined) return known;
    const heap = createHeap(byPlanOrder);
    heaps.set(key, heap);
    return heap;
  };

  const head = (heap: Heap): number | undefined => {
    let task = heap.peek();
    while (task !== undefined && !isReady(task)) {
      heap.pop();
      task = heap.peek();
    }
    return task;
  };

  const pushHead = (slot: number, task: number | undefined): void => {
    const owner = task === undefined ? undefined : affinity.ownerOf(slot);
    if (owner !== undefined && task !== undefined) heapOf(heads, owner).push(task);
  };

  const followOwners = (): void => {
    if (headsVersion === affinity.version) return;
    headsVersion = affinity.version;
    heads.clear();
    for (const [slot, heap] of slots) pushHead(slot, head(heap));
  };

  const takeFrom = (heap: Heap, accepts: Accepts): number | null => {
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

  const takeFromSlots = (workerId: string, accepts: Accepts): number | null => {
    followOwners();
    const mine = heads.get(workerId);
    if (mine === undefined) return null;
    const skipped: number[] = [];
    let taken: number | null = null;
    while (taken === null && skipped.length < SKIPPED_MAX) {
      const task = mine.pop();
      if (task === undefined) break;
      const { slot } = placeOf(task);
      const heap = slots.get(slot);
      const first = heap === undefined ? undefined : head(heap);
      if (first === undefined || heap === undefined) continue;
      if (first !== task) {
        // Somebody took the head; the slot goes on with its next task.
        if (first > task) mine.push(first);
        continue;
      }
      if (!accepts(task)) {
        skipped.push(task);
        continue;
      }
      heap.pop();
      pushHead(slot, head(heap));
      taken = task;
    }
    for (const task of skipped) mine.push(task);
    return taken;
  };

  return {
    push(task) {
      everybody.push(task);
      const { workers, slot } = placeOf(task);
      for (const workerId of workers) heapOf(held, workerId).push(task);
      if (workers.length > 0) return;
      const heap = heapOf(slots, slot);
      const before = head(heap);
      heap.push(task);
      if (headsVersion !== affinity.version) return;
      if (before === undefined || task < before) pushHead(slot, task);
    },
    takeOwn(workerId, accepts) {
      const mine = held.get(workerId);
      const taken = mine === undefined ? null : takeFrom(mine, accepts);
      return taken ?? takeFromSlots(workerId, accepts);
    },
    takeAny: (accepts) => takeFrom(everybody, accepts),
    peek: () => head(everybody) ?? null,
  };
}
