// Which running tasks deserve a second copy: those that take far longer than the median of their job
// says, once most others are done. Copies that lose their race are waste, and waste has a budget.
import { createHeap } from "./heap.js";
import type { TaskRecord } from "./task-record.js";
import type { Lease } from "./workers.js";

/** A task is late after this many times the median. */
const LATE_FACTOR = 1.5;
/** And never before this: a copy of a short task costs more than it can save. */
const LATE_MIN_MS = 500;
/** Where nothing was done yet that it could be compared with: the last task of a resumed job. */
const LATE_BLIND_MS = 60_000;
/** Of the tasks that are not late themselves: slow workers cannot veto with what they sit on. */
const DONE_SHARE_MIN = 0.75;
/** Of the job's work: copies in vain, and with those that run. One at a time is allowed in any case. */
const WASTE_SHARE_MAX = 0.05;
const RISK_SHARE_MAX = 0.1;

/** Running median. Push costs O(log n). */
export function createMedian(): { push(value: number): void; readonly value: number | null } {
  const low = createHeap((a, b) => a > b);
  const high = createHeap((a, b) => a < b);
  const move = (from: typeof low, to: typeof low): void => {
    const item = from.pop();
    if (item !== undefined) to.push(item);
  };
  return {
    push(value) {
      low.push(value);
      move(low, high);
      if (high.size > low.size) move(high, low);
    },
    get value() {
      return low.peek() ?? null;
    },
  };
}

export interface Running {
  readonly leases: Iterable<Lease>;
  readonly recordOf: (index: number) => TaskRecord;
  readonly doneCount: number;
  readonly taskCount: number;
  readonly nowMs: number;
}

export class Stragglers {
  /** Milliseconds per unit of cost of the committed attempts. */
  readonly #median = createMedian();
  #runningCost = 0;
  #runningCount = 0;
  #wastedCost = 0;

  committed(elapsedMs: number, cost: number): void {
    this.#median.push(elapsedMs / cost);
  }

  isLate(elapsedMs: number, cost: number): boolean {
    const median = this.#median.value;
    if (median === null) return elapsedMs >= LATE_BLIND_MS;
    return elapsedMs >= LATE_MIN_MS && elapsedMs > LATE_FACTOR * median * cost;
  }

  /** The tasks that are late, in plan order. Cost: linear in the running ones. */
  find({ leases, recordOf, doneCount, taskCount, nowMs }: Running): number[] {
    const late: number[] = [];
    let lateCount = 0;
    for (const { index, sinceMs } of leases) {
      const record = recordOf(index);
      if (!this.isLate(nowMs - sinceMs, record.cost)) continue;
      lateCount += 1;
      if (record.leases.length === 1) late.push(index);
    }
    if (doneCount < DONE_SHARE_MIN * (taskCount - lateCount)) return [];
    return late.sort((a, b) => a - b);
  }

  /** Once the budget is spent, each further one takes a task twice as late: none is left to a wreck. */
  mayCopy(elapsedMs: number, cost: number, jobCost: number): boolean {
    const timesSpent = Math.floor(this.#wastedCost / (WASTE_SHARE_MAX * jobCost));
    if (timesSpent > 0 && !this.isLate(elapsedMs / 2 ** timesSpent, cost)) return false;
    const riskedCost = this.#wastedCost + this.#runningCost + cost;
    return this.#runningCount === 0 || riskedCost <= RISK_SHARE_MAX * jobCost;
  }

  copyStarted(cost: number): void {
    this.#runningCost += cost;
    this.#runningCount += 1;
  }

  copyEnded(cost: number): void {
    this.#runningCost -= cost;
    this.#runningCount -= 1;
  }

  /** An attempt lost its race. How far it had come is guessed from the pace of its worker. */
  lost({ isCopy, worker }: Lease, elapsedMs: number, cost: number): void {
    // A first attempt on a worker that never finished anything is taken for stuck at its beginning.
    const paceMs = worker.paceMs ?? (isCopy ? this.#median.value : null);
    if (paceMs !== null)
      this.#wastedCost += Math.min(cost, elapsedMs / Math.max(paceMs, Number.EPSILON));
  }
}
