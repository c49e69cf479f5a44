// Drives tasks through the workers: a stream each on one side, the pure scheduler on the other, the
// journal in between. A worker that is lost comes back or does not; its tasks are leased again.
import { GraftError, type Task, type TaskDone } from "@graft/proto";
import { assertNever } from "../assert-never.js";
import { abortError } from "../rpc/call-error.js";
import type { Workers } from "../rpc/workers.js";
import type { Decision, ParkedTask, ScheduleEvent, TaskFailure } from "../schedule/protocol.js";
import { createScheduler, type Scheduler } from "../schedule/scheduler.js";
import type { Holders } from "./admission.js";
import type { Journal } from "./journal.js";
import { type MemberMessage, MemberRun, type MemberRunOptions } from "./member-run.js";
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
  readonly worker: Workers;
  /** Why a worker that is not our own gets no task, or null. */
  readonly admit: MemberRunOptions["admit"];
  /** Where workers that lack an input file can pull it from; only files that some lack. */
  readonly holders: Holders;
  readonly outputDirectory: string;
  readonly journal: Journal;
  /** Filled with the results of the tasks. */
  readonly results: Results;
  /** Above every epoch of earlier runs. */
  readonly epochFloor: number;
  readonly leaseTtlMs: number;
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
  readonly #members: readonly MemberRun[];
  readonly #byWorkerId = new Map<string, MemberRun>();
  /** Workers that could not be had when last tried. */
  readonly #unusable = new Set<MemberRun>();
  readonly #over = new AbortController();
  #idleDeaths = 0;
  #tickedAtMs = performance.now();
  #counters: TaskCounters = NOTHING_MOVED;
  #doneTasks = 0;
  #donePlannedBytes = 0;
  /** Planned bytes and worker of the tasks that are running, by id. */
  readonly #running = new Map<string, { readonly bytes: number; readonly workerId: string }>();

  constructor(options: RunTasksOptions) {
    this.#options = options;
    const { tasks, epochFloor, leaseTtlMs } = options;
    this.#taskById = new Map(tasks.map((task) => [task.taskId, task]));
    this.#scheduler = createScheduler({
      tasks: tasks.map(({ taskId }) => ({ id: taskId })),
      options: { epochFloor, leaseTtlMs },
    });
    this.#members = options.worker.members.map((member) => {
      const admit: MemberRunOptions["admit"] = async (connection, signal) =>
        member.isPrivate ? null : options.admit(connection, signal);
      return new MemberRun({
        ...{ member, admit, signal: this.#over.signal },
        onJoined: (run) => this.#join(run),
        onMessage: (run, message) => this.#receive(run, message),
        onLost: (run, problem) => this.#lose(run, problem),
        onUnusable: (run, error) => this.#doWithout(run, error),
      });
    });
    this.#ended = new Promise((resolve, reject) => {
      this.#end = (error) => {
        this.#isOver = true;
        this.#over.abort();
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
    const serving = Promise.all(this.#members.map((member) => member.serve()));
    try {
      await this.#ended;
      await Promise.all(this.#appends);
      return this.#counters;
    } finally {
      clearInterval(timer);
      signal.removeEventListener("abort", onAbort);
      for (const member of this.#members) member.close();
      await serving;
    }
  }

  #join(run: MemberRun): void {
    this.#unusable.delete(run);
    this.#byWorkerId.set(run.workerId, run);
    this.#feed({ kind: "worker-joined", workerId: run.workerId });
  }

  #lose(run: MemberRun, problem: string): void {
    const { workerId } = run;
    if (this.#isOver) return;
    const error = new GraftError("WORKER_LOST", { worker: workerId, problem });
    this.#idleDeaths += 1;
    this.#byWorkerId.delete(workerId);
    for (const [taskId, running] of this.#running) {
      if (running.workerId === workerId) this.#running.delete(taskId);
    }
    if (this.#idleDeaths > IDLE_DEATHS_MAX * this.#members.length) {
      this.#end(error);
      return;
    }
    const { code, message } = error;
    this.#feed({ kind: "worker-lost", workerId, failure: { code, message, retryable: true } });
    const next = run.isPrivate ? "starting another one" : "its tasks are run again";
    if (!this.#isOver) this.#options.onWarning(`${message}; ${next}`);
  }

  /** While one worker is left, or may yet come, the run goes on. */
  #doWithout(run: MemberRun, error: GraftError): void {
    if (this.#isOver) return;
    this.#unusable.add(run);
    if (this.#unusable.size === this.#members.length) this.#end(error);
    else this.#options.onWarning(error.message);
  }

  #receive(run: MemberRun, message: MemberMessage): void {
    if (this.#isOver) return;
    const { workerId } = run;
    switch (message.$case) {
      case "credits":
        this.#feed({ kind: "credits-granted", workerId, count: message.value.count });
        return;
      case "progress":
        this.#progress(workerId);
        return;
      case "done":
        this.#takeResult(workerId, message.value);
        return;
      case "failed": {
        const { taskId, epoch, error } = message.value;
        const failure = error === undefined ? unnamed : GraftError.fromDetail(error);
        this.#takeFailure(workerId, taskId, Number(epoch), failure);
        return;
      }
      default:
        assertNever(message);
    }
  }

  #progress(workerId: string): void {
    const before = this.#counters;
    const sum = (bytes: (run: MemberRun) => number): number =>
      this.#members.reduce((total, run) => total + bytes(run), 0);
    const readBytes = sum(({ moved }) => moved.readBytes);
    const writtenBytes = sum(({ moved }) => moved.writtenBytes);
    const hasMoved = readBytes !== before.readBytes || writtenBytes !== before.writtenBytes;
    const memory = this.#members.map(({ moved }) => moved.residentMemoryBytes);
    this.#report({
      ...before,
      ...{ readBytes, writtenBytes },
      pageCacheBytes: sum(({ moved }) => moved.pageCacheBytes),
      residentMemoryBytes: Math.max(before.residentMemoryBytes, ...memory),
    });
    if (hasMoved) this.#feed({ kind: "worker-progressed", workerId });
  }

  /** Methods that read twice move more than is planned, so plans count what is done, not bytes. */
  #report(counters: TaskCounters): void {
    let runningBytes = 0;
    for (const { bytes } of this.#running.values()) runningBytes += bytes;
    const moved = counters.readBytes + counters.writtenBytes;
    const bound = this.#donePlannedBytes + runningBytes;
    const plannedBytes = Math.max(this.#donePlannedBytes, Math.min(moved, bound));
    this.#counters = { ...counters, doneTasks: this.#doneTasks, plannedBytes };
    this.#options.onProgress(this.#counters);
  }

  #takeResult(workerId: string, done: TaskDone): void {
    const { taskId } = done;
    const task = this.#taskById.get(taskId);
    if (task === undefined) {
      this.#options.onWarning(`result of unknown task ${taskId}`);
      return;
    }
    const epoch = Number(done.epoch);
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
      if (failure.code === "COMPUTE") this.#takeFailure(workerId, taskId, epoch, failure);
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

  #takeFailure(workerId: string, taskId: string, epoch: number, error: GraftError): void {
    const { code, message, info } = error;
    this.#errors.set(taskId, error);
    const failure: TaskFailure = { code, message, retryable: info.retryable };
    this.#feed({ kind: "task-failed", workerId, taskId, epoch, failure });
  }

  #tick(): void {
    const nowMs = performance.now();
    const wasStopped = nowMs - this.#tickedAtMs > STALL_MS;
    this.#tickedAtMs = nowMs;
    if (wasStopped) {
      for (const workerId of this.#byWorkerId.keys()) {
        this.#feed({ kind: "worker-progressed", workerId });
      }
      return;
    }
    this.#feed({ kind: "tick" });
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
          const bytes = Number(task.readBytes + task.writeBytes);
          const { workerId, epoch } = decision;
          this.#running.set(task.taskId, { bytes, workerId });
          const { holders, outputDirectory } = this.#options;
          const run = this.#byWorkerId.get(workerId);
          run?.assign(withHolders(task, holders), epoch, outputDirectory);
        }
        return;
      }
      case "revoke":
        this.#revoke(decision);
        return;
      case "commit":
        this.#doneTasks += 1;
        this.#idleDeaths = 0;
        this.#donePlannedBytes += this.#running.get(decision.taskId)?.bytes ?? 0;
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

  /** A lease runs out when its worker moved nothing at all: our own process is then killed. */
  #revoke({ workerId, taskId, epoch, reason }: Extract<Decision, { kind: "revoke" }>): void {
    const run = this.#byWorkerId.get(workerId);
    run?.cancel(taskId, epoch);
    // Another machine may only be out of reach: its results are refused until it answers again.
    if (reason !== "expired" || !run?.isPrivate || this.#options.signal.aborted) return;
    run.giveUp("moved nothing for too long");
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

function withHolders(task: Task, holders: Holders): Task {
  if (!task.inputs.some(({ path }) => holders.has(path))) return task;
  const inputs = task.inputs.map((file) => {
    const names = holders.get(file.path);
    return names === undefined
      ? file
      : { ...file, source: { holders: [...names], contentDigest: "" } };
  });
  return { ...task, inputs };
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
