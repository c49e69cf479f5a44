// A merge from recipe to published checkpoint: the one sequence behind submit and resume. Each step is
// a module of its own; this file is their order, and what is undone when one of them fails.
import { resolve } from "node:path";
import { GraftError as Failure, type GraftError, type Task, type WeightFile } from "@graft/proto";
import type { OutputFile } from "../plan/types.js";
import { abortError } from "../rpc/call-error.js";
import type { WorkerClient } from "../rpc/worker-client.js";
import type { Workers } from "../rpc/workers.js";
import { type Holders, refusalOf, surveyHolders } from "./admission.js";
import type { OnEvent, Stage } from "./events.js";
import { mapBounded } from "./map-bounded.js";
import { type OpenJob, openJob } from "./open-job.js";
import {
  digestedSpans,
  type OutputFilesOptions,
  prepareFiles,
  readBack,
  replaceFiles,
  syncFiles,
  tasksInto,
} from "./output-files.js";
import { checkMemory, type PlannedMerge, type PlanRequest, planMerge } from "./plan-merge.js";
import { checkOutputPlace } from "./preflight.js";
import { completeCheckpoint, nonFiniteReports, publish } from "./publish.js";
import type { JobRequest } from "./records.js";
import { createResults, type Results } from "./results.js";
import { type JobIdentity, pinInputs, recheckResults } from "./resume.js";
import { NOTHING_MOVED, runTasks, type TaskCounters } from "./run-tasks.js";
import { createStageClock, type StageClock } from "./stage-clock.js";
import { countLedger, diskSpeedFraction, type MergeSummary, type StorageSpeed } from "./summary.js";
import { removeWork, type WorkPaths, workPaths } from "./work.js";

export interface MergeOptions extends PlanRequest {
  readonly outputDirectory: string;
  readonly force: boolean;
  /** Read every file back and put its sha256 into the manifest. */
  readonly sha256: boolean;
  /** Read every file back even when an earlier run or --no-sha256 makes it unnecessary. */
  readonly paranoid: boolean;
  /** See Config. */
  readonly leaseTtlMs: number;
  /** Runs the tasks; stay the caller's, who started or found them. */
  readonly worker: Workers;
}

export interface MergeControl {
  readonly signal: AbortSignal;
  readonly onEvent: OnEvent;
}

/** Rejects with a GraftError; the output then is as it was, and what was done is kept for resuming. */
export async function runMerge(
  options: MergeOptions,
  { signal, onEvent }: MergeControl,
): Promise<MergeSummary> {
  const { worker } = options;
  const clock = createStageClock(() => performance.now(), onEvent);
  const paths = workPaths(options.outputDirectory);
  try {
    const onStage = (stage: Stage): void => clock.begin(stage);
    const merge = await planMerge(worker, options, { signal, onEvent, onStage });
    checkMemory(merge);
    await checkOutputPlace(paths, merge.models);
    announcePlan(merge, onEvent);
    signal.throwIfAborted();
    const job = await openJob({
      paths,
      identity: identityOf(options, merge),
      outputBytes: merge.plan.totals.outputBytes,
      force: options.force,
    });
    const run = new MergeRun({ options, paths, merge, job, worker, clock, signal, onEvent });
    return await run.complete();
  } catch (error) {
    if (signal.aborted) throw abortError(signal);
    throw forUser(Failure.from(error), paths);
  }
}

/** A worker does not know which output it works for. */
function forUser(error: GraftError, { output }: WorkPaths): GraftError {
  if (error.code !== "DISK_FULL") return error;
  return new Failure("DISK_FULL", { path: error.details.path ?? output, output }, { cause: error });
}

function announcePlan({ plan }: PlannedMerge, onEvent: OnEvent): void {
  const { readBytes, writeBytes, outputBytes } = plan.totals;
  const taskCount = plan.tasks.length;
  const { digest: planDigest } = plan;
  onEvent({ kind: "planned", planDigest, taskCount, readBytes, writeBytes, outputBytes });
}

function identityOf(options: MergeOptions, merge: PlannedMerge): JobIdentity {
  const { seed, maxShardSizeBytes, lenient, sha256, paranoid, force } = options;
  const request: JobRequest = {
    recipePath: resolve(options.workingDirectory, options.recipePath),
    recipeText: merge.recipe.text,
    workingDirectory: options.workingDirectory,
    models: Object.fromEntries(options.models),
    seed: String(seed),
    ...{ maxShardSizeBytes, lenient, sha256, paranoid, force },
  };
  const { kernelVersion, plan, models } = merge;
  return { planDigest: plan.digest, kernelVersion, request, inputs: pinInputs(models) };
}

/** A file that keeps losing writes is on a disk that is not to be written to. */
const LOST_WRITES_MAX = 3;
/** Of one worker; more files at once only make its disk seek. */
const FILES_AT_ONCE_MAX = 8;
const MIB = 1024 * 1024;
const MEASURE_BYTES_MIN = 8 * MIB;
const MEASURE_BYTES_MAX = 32 * MIB;
/** The measurement must not cost more than this part of the merge. */
const MEASURE_PART = 256;

interface MergeRunOptions extends MergeControl {
  readonly options: MergeOptions;
  readonly paths: WorkPaths;
  readonly merge: PlannedMerge;
  readonly job: OpenJob;
  readonly worker: Workers;
  readonly clock: StageClock;
}

class MergeRun {
  readonly #run: MergeRunOptions;
  readonly #results: Results = createResults();
  readonly #files: OutputFilesOptions;
  #counters: TaskCounters = NOTHING_MOVED;
  #skippedCount = 0;
  #holders: Holders = new Map();
  #storage: StorageSpeed | null = null;

  constructor(run: MergeRunOptions) {
    this.#run = run;
    const { worker, paths, signal, merge } = run;
    const filesAtOnce = Math.min(Math.max(1, merge.workerThreads), FILES_AT_ONCE_MAX);
    this.#files = { worker, directory: paths.partial, filesAtOnce, signal };
  }

  async complete(): Promise<MergeSummary> {
    const { job, paths, clock } = this.#run;
    try {
      if (job.kind === "published") this.#adoptPublished();
      else await this.#produce();
      await job.journal[Symbol.asyncDispose]();
      await removeWork(paths, job.lock);
      const summary = this.#summary();
      this.#run.onEvent({ kind: "done", summary });
      return summary;
    } finally {
      clock.moved(0);
      await job.journal[Symbol.asyncDispose]();
      await job.lock[Symbol.asyncDispose]();
    }
  }

  async #produce(): Promise<void> {
    const { job, paths, merge, clock, onEvent, options, signal, worker } = this.#run;
    const { plan } = merge;
    clock.begin("prepare");
    await prepareFiles(plan.files, this.#files);
    if (job.kind === "interrupted") await this.#recover();
    const pending = plan.tasks.filter(({ taskId }) => this.#results.get(taskId) === undefined);
    this.#storage = await this.#measureStorage(pending);
    clock.begin("merge");
    await this.#runTasks(pending);
    await this.#makeDurable();
    const spans = digestedSpans(plan, this.#results);
    const written = new Set(pending.flatMap(({ outputs }) => outputs));
    const fileSha256 = await this.#verify(spans, ({ name }) => !written.has(name));
    clock.begin("publish");
    const { seed, force } = options;
    const results = this.#results;
    await completeCheckpoint({
      ...{ worker, merge, seed, paths, results, spans },
      fileSha256,
      signal,
    });
    signal.throwIfAborted();
    await publish({ paths, lock: job.lock, journal: job.journal, force });
    onEvent({ kind: "published", output: paths.output });
  }

  /** The job was published by a run that died before it could clean up. */
  #adoptPublished(): void {
    const { job, merge, paths, onEvent } = this.#run;
    for (const task of merge.plan.tasks) {
      const record = job.history.done.get(task.taskId);
      if (record !== undefined) this.#results.add(task, record);
    }
    this.#skippedCount = merge.plan.tasks.length;
    const taskCount = merge.plan.tasks.length;
    onEvent({ kind: "resumed", taskCount, verifiedCount: taskCount });
    onEvent({ kind: "published", output: paths.output });
  }

  /** Takes over what earlier runs did and still verifies. */
  async #recover(): Promise<void> {
    const { job, merge, worker, paths, signal, onEvent, clock } = this.#run;
    const { history, journal } = job;
    let readBytes = 0;
    const broken = await recheckResults({
      ...{ worker, history, signal },
      plan: merge.plan,
      partialDirectory: paths.partial,
      results: this.#results,
      filesAtOnce: this.#files.filesAtOnce,
      onRead: (bytes) => {
        readBytes += bytes;
        clock.moved(readBytes);
      },
    });
    if (broken.length > 0) {
      const taskIds = broken.map(({ taskId }) => taskId);
      await journal.append({ kind: "task-void", taskIds, reason: "bytes do not verify" });
    }
    this.#skippedCount = this.#results.size;
    const taskCount = merge.plan.tasks.length;
    onEvent({ kind: "resumed", taskCount, verifiedCount: this.#skippedCount });
  }

  /** Null when it fails: a merge does not depend on knowing how fast its disk is. */
  async #measureStorage(pending: readonly Task[]): Promise<StorageSpeed | null> {
    const { merge, worker, paths, signal } = this.#run;
    if (pending.length === 0) return null;
    const part = Math.floor(merge.plan.totals.outputBytes / MEASURE_PART);
    const size = Math.min(Math.max(part, MEASURE_BYTES_MIN), MEASURE_BYTES_MAX);
    const request = { directory: paths.partial, sizeBytes: BigInt(size) };
    try {
      return await worker.use((client) => client.measureStorage(request, { signal }));
    } catch (error) {
      signal.throwIfAborted();
      this.#warn(`the speed of the disk could not be measured: ${Failure.from(error).message}`);
      return null;
    }
  }

  async #runTasks(tasks: readonly Task[]): Promise<void> {
    const { job, worker, paths, signal, clock, onEvent } = this.#run;
    const sum = (bytes: (task: Task) => bigint): number =>
      tasks.reduce((total, task) => total + Number(bytes(task)), 0);
    const totalBytes = sum(({ readBytes, writeBytes }) => readBytes + writeBytes);
    const { members } = worker;
    if (members.some(({ isPrivate }) => !isPrivate)) {
      this.#holders = await surveyHolders({ members, signal, inputs: inputFiles(tasks) });
    }
    const counters = await runTasks({
      ...{ tasks, worker, signal, journal: job.journal, results: this.#results },
      admit: ({ client }, until) => this.#refusalOf(client, until),
      holders: this.#holders,
      outputDirectory: paths.partial,
      epochFloor: job.history.epochMax,
      leaseTtlMs: this.#run.options.leaseTtlMs,
      onWarning: (message) => this.#warn(message),
      onProgress: ({ doneTasks, plannedBytes: doneBytes, readBytes, writtenBytes }) => {
        const elapsedSeconds = clock.elapsedSeconds();
        const moved = { readBytes, writtenBytes, doneBytes, totalBytes, elapsedSeconds };
        clock.moved(readBytes + writtenBytes);
        const taskCount = tasks.length;
        onEvent({ kind: "progress", stage: "merge", doneTasks, taskCount, ...moved });
      },
    });
    clock.moved(counters.readBytes + counters.writtenBytes);
    this.#counters = addCounters(this.#counters, counters);
  }

  #refusalOf(client: WorkerClient, signal: AbortSignal): Promise<string | null> {
    const { merge, paths } = this.#run;
    return refusalOf(client, {
      ...{ signal, kernelVersion: merge.kernelVersion },
      inputs: inputFiles(merge.plan.tasks),
      holders: this.#holders,
      outputDirectory: paths.partial,
    });
  }

  /** fsync of every file; one that lost a write is made again from its sources, on a new inode. */
  async #makeDurable(): Promise<void> {
    const { merge, clock, job } = this.#run;
    for (let round = 1; ; round += 1) {
      clock.begin("sync");
      const lost = await syncFiles(merge.plan.files, this.#files);
      if (lost.length === 0) return;
      const names = lost.map(({ name }) => name).join(", ");
      const path = this.#run.paths.partial;
      if (round === LOST_WRITES_MAX) {
        const problem = `writes to ${names} were lost ${round} times; the disk is not to be trusted`;
        throw new Failure("IO", { path, operation: "fsync", problem });
      }
      this.#warn(new Failure("LOST_WRITE", { path: names, problem: "fsync failed" }).message);
      const tasks = tasksInto(merge.plan, lost);
      const taskIds = tasks.map(({ taskId }) => taskId);
      await job.journal.append({ kind: "task-void", taskIds, reason: "lost write" });
      for (const taskId of taskIds) this.#results.remove(taskId);
      await replaceFiles(lost, this.#files);
      clock.begin("merge");
      await this.#runTasks(tasks);
    }
  }

  /** The sha256 of every file, each read back from storage and compared with what was written. */
  async #verify(
    spans: ReturnType<typeof digestedSpans>,
    isUntouched: (file: OutputFile) => boolean,
  ): Promise<ReadonlyMap<string, string | null>> {
    const { merge, options, job, clock, onEvent } = this.#run;
    const { sha256, paranoid } = options;
    const digests = new Map<string, string | null>();
    for (const file of merge.plan.files) {
      const known = isUntouched(file) ? job.history.verified.get(file.name) : undefined;
      if (sha256 && !paranoid && known !== undefined) digests.set(file.name, known);
    }
    if (!sha256 && !paranoid) return digests;
    clock.begin("verify");
    const files = merge.plan.files.filter(({ name }) => !digests.has(name));
    const totalBytes = files.reduce((total, { sizeBytes }) => total + sizeBytes, 0);
    let readBytes = 0;
    const onRead = (bytes: number): void => {
      readBytes += bytes;
      clock.moved(readBytes);
      const elapsedSeconds = clock.elapsedSeconds();
      const moved = {
        readBytes,
        writtenBytes: 0,
        doneBytes: readBytes,
        totalBytes,
        elapsedSeconds,
      };
      onEvent({ kind: "progress", stage: "verify", doneTasks: 0, taskCount: 0, ...moved });
    };
    await mapBounded(files, this.#files.filesAtOnce, async (file) => {
      const digest = await readBack(file, { ...this.#files, spans, sha256, onRead });
      digests.set(file.name, digest);
      if (digest === null) return;
      await job.journal.append({ kind: "file-verified", name: file.name, sha256: digest });
    });
    return digests;
  }

  #warn(message: string): void {
    this.#run.onEvent({ kind: "warning", message });
  }

  #summary(): MergeSummary {
    const { merge, paths, clock } = this.#run;
    const { plan } = merge;
    const { readBytes, writtenBytes, pageCacheBytes, residentMemoryBytes } = this.#counters;
    const stages = clock.times();
    const seconds = stages.find(({ stage }) => stage === "merge")?.seconds ?? 0;
    return {
      output: paths.output,
      planDigest: plan.digest,
      outputBytes: plan.totals.outputBytes,
      parameterCount: plan.totals.parameterCount,
      tensorCount: plan.totals.tensorCount,
      fileCount: plan.files.length,
      taskCount: plan.tasks.length,
      skippedTaskCount: this.#skippedCount,
      ...{ readBytes, writtenBytes, pageCacheBytes },
      mergeBytesPerSecond: seconds > 0 ? (readBytes + writtenBytes) / seconds : 0,
      workerMemoryBytes: residentMemoryBytes,
      seconds: clock.totalSeconds(),
      stages,
      storage: this.#storage,
      diskSpeedFraction: diskSpeedFraction(this.#storage, this.#counters, seconds),
      nonFinite: nonFiniteReports({ merge, results: this.#results }).map((report) => ({
        ...report,
        count: Number(report.count),
        firstIndex: Number(report.firstIndex),
      })),
      ledger: countLedger(plan.ledger),
      notes: plan.notes,
    };
  }
}

/** Each once. */
function inputFiles(tasks: readonly Task[]): readonly WeightFile[] {
  const files = tasks.flatMap(({ inputs }) => inputs.map((file) => [file.path, file] as const));
  return [...new Map(files).values()];
}

function addCounters(a: TaskCounters, b: TaskCounters): TaskCounters {
  return {
    doneTasks: a.doneTasks + b.doneTasks,
    plannedBytes: a.plannedBytes + b.plannedBytes,
    readBytes: a.readBytes + b.readBytes,
    writtenBytes: a.writtenBytes + b.writtenBytes,
    pageCacheBytes: a.pageCacheBytes + b.pageCacheBytes,
    residentMemoryBytes: Math.max(a.residentMemoryBytes, b.residentMemoryBytes),
  };
}
