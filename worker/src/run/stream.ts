// The worker's end of one task stream: credits out, assignments in, one native call per task, results
// out. Knows nothing of gRPC. A task that fails, whatever it throws, is an answer and nothing else.
import type { Engine, EngineCounters } from "@graft/native";
import {
  GraftError,
  type RunTasksRequest,
  type RunTasksResponse,
  type TaskAssignment,
  type TaskDone,
  type TaskProgress,
} from "@graft/proto";
import { toErrorDetail } from "../errors.js";
import { localInputs, type ResolveInputs } from "./inputs.js";
import { inputDigests, nonFiniteReports, outputDigests, toNativeTask } from "./task.js";

/** Enough that the engine has work while finished tasks wait for the coordinator's journal. */
export const TASKS_AT_ONCE = 6;
const PROGRESS_INTERVAL_MS = 100;
export const DRAINING = "draining, takes no more tasks";

type Message = NonNullable<RunTasksResponse["message"]>;

export interface TaskStreamOptions {
  readonly engine: Pick<Engine, "runTask" | "counters">;
  readonly workerId: string;
  readonly taskCountMax: number;
  readonly send: (response: RunTasksResponse) => void;
  /** Monotonic milliseconds. */
  readonly nowMs: () => number;
  readonly residentMemoryBytes: () => number;
  /** Where the inputs of a task are; at their paths when absent. */
  readonly resolveInputs?: ResolveInputs | undefined;
  /** Totals of the process; zeros without a cache. */
  readonly transfers?: (() => TransferCounters) | undefined;
}

/** Weights that came from peers, or did not need to. */
export interface TransferCounters {
  readonly wireBytes: number;
  readonly cacheHitBytes: number;
  readonly wrongPieceCount: number;
}

const NO_TRANSFERS: TransferCounters = { wireBytes: 0, cacheHitBytes: 0, wrongPieceCount: 0 };

export interface TaskStream extends AsyncDisposable {
  /** Tasks running now. */
  readonly taskCount: number;
  handle(request: RunTasksRequest): void;
  /** Takes no more tasks; resolves when the running ones are done. Idempotent. */
  drain(): Promise<void>;
}

interface RunningTask {
  readonly controller: AbortController;
  readonly finished: Promise<void>;
}

/** Grants the first credits at once. Disposing aborts every task; nothing is sent from then on. */
export function createTaskStream(options: TaskStreamOptions): TaskStream {
  const { engine, workerId, taskCountMax } = options;
  const running = new Map<string, RunningTask>();
  const start = engine.counters();
  const transfers = options.transfers ?? (() => NO_TRANSFERS);
  const transfersAtStart = transfers();
  let state: "open" | "draining" | "closed" = "open";
  let ticker: NodeJS.Timeout | undefined;

  const send = (message: Message): void => {
    if (state !== "closed") options.send({ message });
  };
  const sendProgress = (): void => {
    const value = {
      ...progressSince(start, engine.counters()),
      ...transfersSince(transfersAtStart, transfers()),
      residentMemoryBytes: BigInt(options.residentMemoryBytes()),
    };
    send({ $case: "progress", value });
  };

  const assign = (assignment: TaskAssignment): void => {
    const key = keyOf(assignment.task?.taskId ?? "", assignment.epoch);
    // The same assignment again is the same work: its one answer is on its way.
    if (running.has(key)) return;
    if (state !== "open" || running.size >= taskCountMax) {
      const problem = state === "open" ? "has given no credit for another task" : DRAINING;
      send(toFailed(assignment, new GraftError("WORKER_LOST", { worker: workerId, problem })));
      return;
    }
    const controller = new AbortController();
    const finished = runAssignment(assignment, options, controller.signal).then((answer) => {
      running.delete(key);
      sendProgress();
      send(answer);
      if (state === "open") send({ $case: "credits", value: { count: 1 } });
      if (running.size === 0) clearInterval(ticker);
    });
    if (running.size === 0) ticker = setInterval(sendProgress, PROGRESS_INTERVAL_MS);
    running.set(key, { controller, finished });
  };

  const settled = async (): Promise<void> => {
    await Promise.all([...running.values()].map(({ finished }) => finished));
  };

  send({ $case: "credits", value: { count: taskCountMax } });
  return {
    get taskCount() {
      return running.size;
    },
    handle: ({ message }) => {
      if (message?.$case === "assign") assign(message.value);
      if (message?.$case === "cancel") {
        const { taskId, epoch } = message.value;
        running.get(keyOf(taskId, epoch))?.controller.abort();
      }
    },
    drain: () => {
      if (state === "open") state = "draining";
      return settled();
    },
    [Symbol.asyncDispose]: () => {
      state = "closed";
      clearInterval(ticker);
      for (const { controller } of running.values()) controller.abort();
      return settled();
    },
  };
}

/** Never rejects. */
async function runAssignment(
  assignment: TaskAssignment,
  { engine, nowMs, resolveInputs }: TaskStreamOptions,
  signal: AbortSignal,
): Promise<Message> {
  const { task, epoch, outputDirectory } = assignment;
  try {
    if (task === undefined) throw new GraftError("FLAG", { flag: "assign", problem: "no task" });
    const startedMs = nowMs();
    const native = toNativeTask(task, outputDirectory);
    const inputs = resolveInputs ? await resolveInputs(task, signal) : localInputs(task);
    const result = await engine
      .runTask({ ...native, inputs: inputs.files }, { signal })
      .finally(inputs.release);
    const value: TaskDone = {
      taskId: task.taskId,
      epoch,
      outputs: outputDigests(task, result),
      inputs: inputDigests(task, result),
      nonFinite: nonFiniteReports(task, result),
      wallTime: toDuration((nowMs() - startedMs) / 1000),
      cpuTime: toDuration(result.cpuSeconds),
    };
    return { $case: "done", value };
  } catch (error) {
    return toFailed(assignment, error);
  }
}

function toFailed({ task, epoch }: TaskAssignment, error: unknown): Message {
  const value = { taskId: task?.taskId ?? "", epoch, error: toErrorDetail(error) };
  return { $case: "failed", value };
}

type EngineProgress = Pick<TaskProgress, "readBytes" | "writtenBytes" | "pageCacheBytes">;

function progressSince(start: EngineCounters, now: EngineCounters): EngineProgress {
  return {
    readBytes: now.readBytes - start.readBytes,
    writtenBytes: now.writtenBytes - start.writtenBytes,
    pageCacheBytes: now.pageCacheBytes - start.pageCacheBytes,
  };
}

type TransferProgress = Pick<TaskProgress, "wireBytes" | "cacheHitBytes" | "wrongPieceCount">;

function transfersSince(start: TransferCounters, now: TransferCounters): TransferProgress {
  return {
    wireBytes: BigInt(now.wireBytes - start.wireBytes),
    cacheHitBytes: BigInt(now.cacheHitBytes - start.cacheHitBytes),
    wrongPieceCount: BigInt(now.wrongPieceCount - start.wrongPieceCount),
  };
}

function keyOf(taskId: string, epoch: bigint): string {
  return `${taskId}@${epoch}`;
}

function toDuration(seconds: number): { seconds: bigint; nanos: number } {
  const whole = Math.floor(seconds);
  return { seconds: BigInt(whole), nanos: Math.floor((seconds - whole) * 1e9) };
}
