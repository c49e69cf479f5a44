// The tasks of a job that nobody runs: ready ones, suspects, which run last and alone, and those that
// wait before they are tried again.
import { createHeap } from "./heap.js";
import { createReadyTasks, type ReadyTasks } from "./ready-tasks.js";
import type { Accepts } from "./task-heap.js";
import type { TaskRecord } from "./task-record.js";
import type { WorkerPool, WorkerState } from "./workers.js";

export class Backlog {
  readonly #recordOf: (index: number) => TaskRecord;
  readonly #ready: ReadyTasks;
  readonly #suspects: ReadyTasks;
  readonly #waiting = createHeap((a, b) => this.#recordOf(a).atMs < this.#recordOf(b).atMs);
  #readyCount = 0;
  #suspectCount = 0;

  constructor(recordOf: (index: number) => TaskRecord, { affinity }: WorkerPool) {
    this.#recordOf = recordOf;
    const lists = {
      placeOf: (index: number) => recordOf(index).place,
      memoryOf: (index: number) => recordOf(index).memoryBytes,
      affinity,
    };
    const isReady = (index: number, isSuspect: boolean): boolean => {
      const record = recordOf(index);
      return record.state === "ready" && record.isSuspect === isSuspect;
    };
    this.#ready = createReadyTasks({ ...lists, isReady: (index) => isReady(index, false) });
    this.#suspects = createReadyTasks({ ...lists, isReady: (index) => isReady(index, true) });
  }

  /** Ready ones and suspects. */
  get readyCount(): number {
    return this.#readyCount + this.#suspectCount;
  }

  get suspectCount(): number {
    return this.#suspectCount;
  }

  get waitingCount(): number {
    return this.#waiting.size;
  }

  add(index: number): void {
    this.#count(this.#recordOf(index), 1);
    this.offer(index);
  }

  /** Every change of state passes here, to be counted. */
  setState(record: TaskRecord, state: TaskRecord["state"]): void {
    this.#count(record, -1);
    record.state = state;
    this.#count(record, 1);
  }

  /** A ready task is to be found again. */
  offer(index: number): void {
    (this.#recordOf(index).isSuspect ? this.#suspects : this.#ready).push(index);
  }

  makeReady(index: number, nowMs: number): void {
    const record = this.#recordOf(index);
    this.setState(record, "ready");
    record.atMs = nowMs;
    this.offer(index);
  }

  wait(index: number, untilMs: number): void {
    const record = this.#recordOf(index);
    this.setState(record, "waiting");
    record.atMs = untilMs;
    this.#waiting.push(index);
  }

  wake(nowMs: number): void {
    for (;;) {
      const index = this.#waiting.peek();
      if (index === undefined || this.#recordOf(index).atMs > nowMs) return;
      this.#waiting.pop();
      this.makeReady(index, nowMs);
    }
  }

  take({ id }: WorkerState, freeBytes: number, accepts: Accepts): number | null {
    return this.#ready.take(id, freeBytes, accepts);
  }

  takeSuspect({ id }: WorkerState, freeBytes: number, accepts: Accepts): number | null {
    return this.#suspects.take(id, freeBytes, accepts);
  }

  /** The next task of every size. */
  heads(): readonly number[] {
    return [...this.#ready.heads(), ...this.#suspects.heads()];
  }

  #count({ state, isSuspect }: TaskRecord, by: number): void {
    if (state !== "ready") return;
    if (isSuspect) this.#suspectCount += by;
    else this.#readyCount += by;
  }
}
