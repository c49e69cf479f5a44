// Drives tasks through one worker at a time: the worker's stream on one side, the pure scheduler on the
// other, the journal in between. A worker that dies is replaced and its tasks are leased again.
import { GraftError, type RunTasksResponse, type Task, type TaskDone } from "@graft/proto";
import { assertNever } from "../assert-never.js";
import { abortError } from "../rpc/call-error.js";
import { deathSoon, type PrivateWorker } from "../rpc/private-worker.js";
import type { TaskStream } from "../rpc/task-stream.js";
import type { WorkerProcess } from "../rpc/worker-process.js";
import type { Decision, ParkedTask, ScheduleEvent, TaskFailure } from "../schedule/protocol.js";
import { createScheduler, type Scheduler } from "../schedule/scheduler.js";
import type { Journal } from "./journal.js";
import { compareResults, type Results } from "./results.js";
import { nameTask, toRecord } from "./task-spans.js";

export interface TaskCounters {
  readonly doneTasks: number;
  /** Planned bytes of the finished tasks, and of the running ones as far as bytes were moved. */
  readonly plannedBytes: number;
  readonly readBytes: number;
  readonly writtenBytes: number;
  readonly pageCacheBytes: number;
  /** Largest seen. */
  readonly residentMemoryBytes: number;
}

export interface RunTasksOptions {
  readonly tasks: readonly Task[];
  readonly worker: PrivateWorker;
  readonly outputDirectory: string;
  readonly journal: Journal;
  /** Filled with the results of the tasks. */
  readonly results: Results;
  /** Above every epoch of earlier runs. */
  readonly epochFloor: number;
  readonly signal: AbortSignal;
  readonly onProgress: (counters: TaskCounters) => void;
  readonly onWarning: (message: string) => void;
}

const TICK_MS = 250;
/** A tick this late means that this process was stopped, not that the worker was silent. */
const STALL_MS = 5_000;
/** Workers that die one after the other without finishing anything. */
const IDLE_DEATHS_MAX = 12;
/** Longest wait for cancelled tasks to stop writing; then the worker is killed, which also stops them. */
const CANCEL_GRACE_MS = 5_000;

/** Resolves when every task is committed and journalled; rejects naming what cannot be done. */
export async function runTasks(options: RunTasksOptions): Promise<TaskCounters> {
  const run = new TaskRun(options);
  return run.complete();
}

class TaskRun {
  readonly #options: RunTasksOptions;
  readonly #scheduler: Scheduler;
  readonly #taskById: ReadonlyMap<string, Task>;
  readonly #errors = new Map<string, GraftError>();
  readonly #appends: Promise<void>[] = [];
  readonly #ended: Promise<void>;
  #end: (error: unknown) => void = () => undefined;
  #isOver = false;
  #stream: TaskStream | null = null;
  #workerId = "";
  #idleDeaths = 0;
  #tickedAtMs = performance.now();
  /** Counters of streams that have ended; the worker counts from the start of each stream. */
  #base: TaskCounters = NOTHING_MOVED;
  #counters: TaskCounters = NOTHING_MOVED;
  #doneTasks = 0;
  #donePlannedBytes = 0;
  /** Planned bytes of the tasks that are running, by id. */
  readonly #running = new Map<string, number>();

  constructor(options: RunTasksOptions) {
    this.#options = options;
    const { tasks, epochFloor } = options;
    this.#taskById = new Map(tasks.map((task) => [task.taskId, task]));
    this.#scheduler = createScheduler({
      tasks: tasks.map(({ taskId }) => ({ id: taskId })),
      options: { epochFloor },
    });
    this.#ended = new Promise((resolve, reject) => {
      this.#end = (error) => {
        this.#isOver = true;
        if (error === null) resolve();
        else reject(error);
      };
    });
  }

  async complete(): Promise<TaskCounters> {
    const { signal } = this.#options;
    signal.throwIfAborted();
    const timer = setInterval(() => this.#tick(), TICK_MS);
    const onAbort = (): void => this.#cancel();
    signal.addEventListener("abort", onAbort, { once: true });
    this.#feed({ kind: "tick" });
    const serving = this.#serve();
    try {
      await this.#ended;
      await Promise.all(this.#appends);
      return this.#counters;
    } finally {
      clearInterval(timer);
      signal.removeEventListener("abort", onAbort);
      this.#stream?.close();
      await serving;
    }
  }

  /** One stream after the other until the run is over. Never rejects. */
  async #serve(): Promise<void> {
    while (!this.#isOver) {
      try {
        const process = await this.#options.worker.current();
        await this.#serveStream(process);
      } catch (error) {
        // No worker can be started: nothing will ever run.
        this.#end(error);
      }
    }
  }

  async #serveStream(process: WorkerProcess): Promise<void> {
    const client = await process.client;
    if (this.#isOver) return;
    const stream = client.runTasks();
    this.#stream = stream;
    this.#workerId = process.workerId;
    this.#base = this.#counters;
    this.#feed({ kind: "worker-joined", workerId: process.workerId });
    let problem = "its task stream ended";
    try {
      for await (const response of stream) this.#receive(response);
    } catch (error) {
      const { details, message } = GraftError.from(error);
      problem = details.problem ?? message;
    }
    if (this.#isOver) return;
    this.#stream = null;
    const death = await deathSoon(process);
    // A process whose stream broke is not trusted with another one.
    await process[Symbol.asyncDispose]();
    this.#loseWorker(process.workerId, death ?? problem);
  }

  #loseWorker(workerId: string, problem: string): void {
    const error = new GraftError("WORKER_LOST", { worker: workerId, problem });
    this.#idleDeaths += 1;
    this.#running.clear();
    if (this.#idleDeaths > IDLE_DEATHS_MAX) {
      this.#end(error);
      return;
    }
    const { code, message } = error;
    this.#feed({ kind: "worker-lost", workerId, failure: { code, message, retryable: true } });
    if (!this.#isOver) this.#options.onWarning(`${message}; starting another one`);
  }

  #receive({ message }: RunTasksResponse): void {
    if (this.#isOver || message === undefined) return;
    const workerId = this.#workerId;
    switch (message.$case) {
      case "credits":
        this.#feed({ kind: "credits-granted", workerId, count: message.value.count });
        return;
      case "progress":
        this.#progress(message.value);
        return;
      case "done":
        this.#takeResult(message.value);
        return;
      case "failed": {
        const { taskId, epoch, error } = message.value;
        const failure = error === undefined ? unnamed : GraftError.fromDetail(error);
        this.#takeFailure(taskId, Number(epoch), failure);
        return;
      }
      default:
        assertNever(message);
    }
  }

  #progress(totals: {
    readonly readBytes: bigint;
    readonly writtenBytes: bigint;
    readonly pageCacheBytes: bigint;
    readonly residentMemoryBytes: bigint;
  }): void {
    const readBytes = this.#base.readBytes + Number(totals.readBytes);
    const writtenBytes = this.#base.writtenBytes + Number(totals.writtenBytes);
    const before = this.#counters;
    const hasMoved = readBytes !== before.readBytes || writtenBytes !== before.writtenBytes;
    this.#report({
      ...before,
      readBytes,
      writtenBytes,
      pageCacheBytes: this.#base.pageCacheBytes + Number(totals.pageCacheBytes),
      residentMemoryBytes: Math.max(before.residentMemoryBytes, Number(totals.residentMemoryBytes)),
    });
    if (hasMoved) this.#feed({ kind: "worker-progressed", workerId: this.#workerId });
  }

  /** Methods that read twice move more than is planned, so plans count what is done, not bytes. */
  #report(counters: TaskCounters): void {
    let runningBytes = 0;
    for (const bytes of this.#running.values()) runningBytes += bytes;
    const moved = counters.readBytes + counters.writtenBytes;
    const bound = this.#donePlannedBytes + runningBytes;
    const plannedBytes = Math.max(this.#donePlannedBytes, Math.min(moved, bound));
    this.#counters = { ...counters, doneTasks: this.#doneTasks, plannedBytes };
    this.#options.onProgress(this.#counters);
  }

  #takeResult(done: TaskDone): void {
    const { taskId } = done;
    const task = this.#taskById.get(taskId);
    if (task === undefined) {
      this.#options.onWarning(`result of unknown task ${taskId}`);
      return;
    }
    const epoch = Number(done.epoch);
    const workerId = this.#workerId;
    try {
      const record = toRecord(task, done);
      const earlier = this.#options.results.get(taskId);
      if (earlier !== undefined) compareResults(task, earlier, record);
      const decisions = this.#decide({ kind: "task-done", workerId, taskId, epoch });
      if (decisions.some(({ kind }) => kind === "commit")) {
        this.#options.results.add(task, record);
        this.#appends.push(this.#journalled(record));
      }
      this.#apply(decisions);
    } catch (error) {
      const failure = GraftError.from(error);
      // A result that does not fit its task is one failed attempt; contradictory bytes end the job.
      if (failure.code === "COMPUTE") this.#takeFailure(taskId, epoch, failure);
      else this.#end(failure);
    }
  }

  async #journalled(record: Parameters<Journal["append"]>[0]): Promise<void> {
    try {
      await this.#options.journal.append(record);
    } catch (error) {
      this.#end(error);
    }
  }

  #takeFailure(taskId: string, epoch: number, error: GraftError): void {
    const { code, message, info } = error;
    this.#errors.set(taskId, error);
    const failure: TaskFailure = { code, message, retryable: info.retryable };
    this.#feed({ kind: "task-failed", workerId: this.#workerId, taskId, epoch, failure });
  }

  #tick(): void {
    const nowMs = performance.now();
    const wasStopped = nowMs - this.#tickedAtMs > STALL_MS;
    this.#tickedAtMs = nowMs;
    // Between two workers nothing may be assigned: it would count as lost with the first one.
    if (this.#stream === null) return;
    if (wasStopped) this.#feed({ kind: "worker-progressed", workerId: this.#workerId });
    else this.#feed({ kind: "tick" });
  }

  #cancel(): void {
    this.#feed({ kind: "cancel" });
    const { signal } = this.#options;
    setTimeout(() => this.#end(abortError(signal)), CANCEL_GRACE_MS).unref();
  }

  #feed(event: ScheduleEvent): void {
    if (!this.#isOver) this.#apply(this.#decide(event));
  }

  #decide(event: ScheduleEvent): readonly Decision[] {
    return this.#scheduler.handle(event, performance.now());
  }

  #apply(decisions: readonly Decision[]): void {
    for (const decision of decisions) this.#applyOne(decision);
  }

  #applyOne(decision: Decision): void {
    switch (decision.kind) {
      case "assign": {
        const task = this.#taskById.get(decision.taskId);
        if (task !== undefined) {
          this.#running.set(task.taskId, Number(task.readBytes + task.writeBytes));
          this.#stream?.assign(task, decision.epoch, this.#options.outputDirectory);
        }
        return;
      }
      case "revoke":
        this.#revoke(decision.taskId, decision.epoch);
        return;
      case "commit":
        this.#doneTasks += 1;
        this.#idleDeaths = 0;
        this.#donePlannedBytes += this.#running.get(decision.taskId) ?? 0;
        this.#running.delete(decision.taskId);
        this.#report(this.#counters);
        return;
      case "refuse":
        // The bytes were compared before the scheduler was asked.
        return;
      case "park": {
        const { taskId, attempts, failure } = decision;
        const task = this.#taskById.get(taskId);
        const what = task === undefined ? taskId : nameTask(task);
        this.#options.onWarning(
          `gave up on ${what} after ${attempts} attempts: ${failure.message}`,
        );
        return;
      }
      case "finish":
        this.#end(null);
        return;
      case "fail":
        this.#end(this.#failureOf(decision.parked));
        return;
      case "cancelled":
        this.#end(abortError(this.#options.signal));
        return;
      default:
        assertNever(decision);
    }
  }

  /** A lease that ran out means that the whole worker moved nothing: it is dropped, not asked to stop. */
  #revoke(taskId: string, epoch: number): void {
    this.#stream?.cancel(taskId, epoch);
    if (this.#options.signal.aborted) return;
    this.#stream?.close();
    this.#stream = null;
  }

  /** The error a user can act on: of a fault of the environment or input itself, else of the task. */
  #failureOf(parked: readonly ParkedTask[]): GraftError {
    const final = parked.find(({ failure }) => !failure.retryable) ?? parked[0];
    if (final === undefined) return new GraftError("INTERNAL", { problem: "no failed task" });
    const error = this.#errors.get(final.taskId);
    const isOfTask = final.failure.code === "WORKER_LOST" || final.failure.code === "COMPUTE";
    if (error !== undefined && !isOfTask) return error;
    const task = this.#taskById.get(final.taskId);
    return new GraftError("TASK_POISONED", {
      task: task === undefined ? final.taskId : `of ${nameTask(task)}`,
      attempts: final.attempts,
      problem: final.failure.message,
    });
  }
}

const unnamed = new GraftError("INTERNAL", { problem: "a task failed without saying why" });

export const NOTHING_MOVED: TaskCounters = {
  doneTasks: 0,
  plannedBytes: 0,
  readBytes: 0,
  writtenBytes: 0,
  pageCacheBytes: 0,
  residentMemoryBytes: 0,
};
