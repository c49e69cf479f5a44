// All jobs of a coordinator: taken on, run a few at a time in the order they came, ended once. What is
// promised is promised after it is on disk; what was running when the process ended runs again.
import { setMaxListeners } from "node:events";
import { resolve } from "node:path";
import { GraftError } from "@graft/proto/errors";
import type { MergeEvent } from "../jobs/events.js";
import { readInterrupted } from "../jobs/open-job.js";
import { checkOutputFree } from "../jobs/preflight.js";
import { workPaths } from "../jobs/work.js";
import type { ErrorEvent, LogEntry } from "./event-log.js";
import { Job } from "./job.js";
import { newJobId } from "./job-id.js";
import { type JobEnd, type JobRecord, type JobSpec, RECORD_FORMAT } from "./job-record.js";
import type { JobStore } from "./job-store.js";
import type { RunJob } from "./run-job.js";
import { dropWork, recoverSummary, wasPublished } from "./settle.js";

export interface JobsOptions {
  readonly store: JobStore;
  readonly runJob: RunJob;
  readonly jobsAtOnce: number;
  /** Names this coordinator in messages. */
  readonly name: string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** What a person who runs the coordinator should know. */
  readonly log: (text: string) => void;
}

const PREFIX_LENGTH_MIN = 6;
const NAMED_MAX = 5;

export class Jobs implements AsyncDisposable {
  readonly #options: JobsOptions;
  readonly #jobs = new Map<string, Job>();
  /** Accepted, each with the end of the fsync that makes it a promise. */
  readonly #creating = new Map<string, Promise<void>>();
  readonly #queue: Job[] = [];
  readonly #runs = new Map<Job, Promise<void>>();
  readonly #stopping = new AbortController();
  #nextOrder = 1;

  constructor(options: JobsOptions) {
    this.#options = options;
    setMaxListeners(0, this.#stopping.signal);
    const { store, now } = options;
    for (const record of store.recovered) {
      const job = new Job({ record, store, now });
      this.#jobs.set(record.jobId, job);
      this.#nextOrder = Math.max(this.#nextOrder, record.order + 1);
      if (record.end === null) this.#queue.push(job);
    }
  }

  /** Goes on with what an earlier process left unfinished. */
  start(): void {
    this.#startNext();
  }

  /** Aborted when the coordinator stops; the reason is what callers are told. */
  get stopping(): AbortSignal {
    return this.#stopping.signal;
  }

  list(): readonly Job[] {
    return [...this.#jobs.values()].filter(({ record }) => !this.#creating.has(record.jobId));
  }

  /** By id, or by the beginning of it. */
  find(text: string): Job {
    const exact = this.#jobs.get(text);
    if (exact !== undefined && !this.#creating.has(text)) return exact;
    const found =
      text.length < PREFIX_LENGTH_MIN
        ? []
        : this.list().filter(({ record }) => record.jobId.startsWith(text));
    const [job, another] = found;
    if (job === undefined) throw new GraftError("JOB_NOT_FOUND", { job: text });
    if (another === undefined) return job;
    const jobs = found.slice(0, NAMED_MAX).map(({ record }) => record.jobId);
    throw new GraftError("JOB_AMBIGUOUS", { job: text, jobs: jobs.join(", ") });
  }

  readSpec(job: Job): Promise<JobSpec> {
    return this.#options.store.readSpec(job.record.jobId);
  }

  readLog(job: Job): Promise<readonly LogEntry[]> {
    return this.#options.store.readLog(job.record.jobId);
  }

  /** The job is on stable storage when it resolves. */
  async submit(jobId: string, spec: JobSpec): Promise<Job> {
    const known = this.#jobs.get(jobId);
    if (known !== undefined) return this.#sameJob(known, spec);
    await checkOutputFree(workPaths(spec.outputDirectory), spec.force);
    return this.#accept(jobId, spec);
  }

  /** The job that is on the output already, or one that continues the work beside it. */
  async resume(outputDirectory: string): Promise<Job> {
    const paths = workPaths(outputDirectory);
    const busy = this.#jobOn(paths.output);
    if (busy !== null) return busy;
    const { request } = await readInterrupted(paths);
    return this.#accept(newJobId(), { ...request, outputDirectory: paths.output });
  }

  /** Resolves when the job has stopped, or with its state when `signal` is aborted before. */
  async cancel(text: string, keepWork: boolean, signal: AbortSignal): Promise<Job> {
    const job = this.find(text);
    if (job.record.end !== null) return job;
    if (job.record.cancel === null) await job.change({ cancel: { keepWork } });
    job.running?.abort(new GraftError("CANCELLED"));
    const waiting = this.#queue.indexOf(job);
    if (waiting >= 0) {
      this.#queue.splice(waiting, 1);
      this.#start(job);
    }
    await job.ended(signal).catch(() => undefined);
    return job;
  }

  async #sameJob(job: Job, spec: JobSpec): Promise<Job> {
    const { jobId } = job.record;
    await this.#creating.get(jobId);
    const before = await this.readSpec(job);
    if (JSON.stringify(sorted(before)) === JSON.stringify(sorted(spec))) return job;
    throw new GraftError("JOB_ID_TAKEN", { job: jobId });
  }

  #jobOn(output: string): Job | null {
    for (const job of this.#jobs.values()) {
      const { end, outputDirectory } = job.record;
      if (end === null && resolve(outputDirectory) === output) return job;
    }
    return null;
  }

  async #accept(jobId: string, spec: JobSpec): Promise<Job> {
    this.#stopping.signal.throwIfAborted();
    // Whoever checked is still the first: nothing has been awaited since.
    const known = this.#jobs.get(jobId);
    if (known !== undefined) return this.#sameJob(known, spec);
    const path = resolve(spec.outputDirectory);
    const busy = this.#jobOn(path);
    if (busy !== null) throw new GraftError("OUTPUT_TAKEN", { path, job: busy.record.jobId });
    const { store, now } = this.#options;
    const record = newRecord(jobId, this.#nextOrder, spec, new Date(now()).toISOString());
    this.#nextOrder += 1;
    const job = new Job({ record, store, now });
    this.#jobs.set(jobId, job);
    const creating = store.create(record, spec);
    this.#creating.set(jobId, creating);
    try {
      await creating;
    } catch (error) {
      this.#jobs.delete(jobId);
      throw error;
    } finally {
      this.#creating.delete(jobId);
    }
    this.#queue.push(job);
    this.#startNext();
    return job;
  }

  #startNext(): void {
    while (!this.#stopping.signal.aborted && this.#runs.size < this.#options.jobsAtOnce) {
      const job = this.#queue.shift();
      if (job === undefined) return;
      this.#start(job);
    }
  }

  #start(job: Job): void {
    const run = this.#run(job)
      .catch((error: unknown) => {
        this.#options.log(`job ${job.record.jobId}: ${GraftError.from(error).message}`);
      })
      .finally(() => {
        job.running = null;
        job.close();
        this.#runs.delete(job);
        this.#startNext();
      });
    this.#runs.set(job, run);
  }

  /** Rejects only when the end of the job could not be recorded. */
  async #run(job: Job): Promise<void> {
    const { log } = this.#options;
    const { jobId } = job.record;
    const end = await this.#bring(job);
    if (end === null) return log(`job ${jobId}: interrupted; it goes on at the next start`);
    log(`job ${jobId}: ${end.kind}${end.kind === "failed" ? `: ${end.error.message}` : ""}`);
    await job.finish(end);
  }

  /** How the job ended; null when it was only interrupted. */
  async #bring(job: Job): Promise<JobEnd | null> {
    const abort = new AbortController();
    job.running = abort;
    job.restart();
    try {
      const told = endOf(job);
      if (told !== null) return told;
      if (!(await this.#adopt(job))) {
        if (job.record.cancel !== null) return await this.#cancelled(job);
        await this.#merge(job, abort.signal);
      }
      return { kind: "done" };
    } catch (error) {
      return await this.#broken(job, GraftError.from(error));
    }
  }

  async #merge(job: Job, signal: AbortSignal): Promise<void> {
    const { runJob, log, now } = this.#options;
    const { jobId, startTime } = job.record;
    const spec = await this.readSpec(job);
    await job.change({ startTime: startTime ?? new Date(now()).toISOString() });
    log(`job ${jobId}: ${startTime === null ? "started" : "goes on"}: ${spec.outputDirectory}`);
    const onEvent = (event: MergeEvent): void => {
      if (event.kind === "planned") {
        const { planDigest, readBytes, writeBytes } = event;
        const change = { planDigest, totalBytes: readBytes + writeBytes };
        // Only shown to people, and saved again with the next change; the log knows the digest.
        job.change(change).catch((error: unknown) => log(GraftError.from(error).message));
      }
      job.tell(event, event.kind === "done" ? "done" : job.state);
    };
    // Every call of a merge listens to this one signal; many at once is no leak.
    setMaxListeners(0, signal);
    await runJob(jobId, spec, { signal, onEvent });
  }

  /** Ends a job that had published its output when it was cut off; false when it had not. */
  async #adopt(job: Job): Promise<boolean> {
    const paths = workPaths(job.record.outputDirectory);
    if (!(await wasPublished(paths, job.told))) return false;
    await dropWork(paths, job.told);
    job.tell({ kind: "done", summary: await recoverSummary(paths, job.told) }, "done");
    return true;
  }

  async #broken(job: Job, error: GraftError): Promise<JobEnd | null> {
    const { cancel } = job.record;
    try {
      if (cancel !== null) {
        if (await this.#adopt(job)) return { kind: "done" };
        return await this.#cancelled(job);
      }
      if (this.#stopping.signal.aborted) return null;
    } catch (second) {
      // The work could not be put in order; why the job broke in the first place matters more.
      this.#options.log(`job ${job.record.jobId}: ${GraftError.from(second).message}`);
    }
    const event = errorEvent(error);
    job.tell(event, "failed");
    const { code, message, details } = event;
    return { kind: "failed", error: { code, message, details } };
  }

  async #cancelled(job: Job): Promise<JobEnd> {
    const { outputDirectory, cancel, jobId } = job.record;
    try {
      if (cancel?.keepWork !== true) await dropWork(workPaths(outputDirectory), job.told);
    } catch (error) {
      // Cancelled all the same: what is left harms nothing and "clean" removes it.
      this.#options.log(`job ${jobId}: its work is left: ${GraftError.from(error).message}`);
    }
    job.tell(errorEvent(new GraftError("JOB_CANCELLED", { job: jobId })), "cancelled");
    return { kind: "cancelled" };
  }

  /** Takes no more jobs, interrupts the running ones so that they can go on, and waits for them. */
  async [Symbol.asyncDispose](): Promise<void> {
    const reason = stopError(this.#options.name);
    this.#stopping.abort(reason);
    for (const job of this.#runs.keys()) job.running?.abort(reason);
    await Promise.all(
      [...this.#creating.values()].map((creating) => creating.catch(() => undefined)),
    );
    await Promise.all(this.#runs.values());
    for (const job of this.#jobs.values()) job.close();
    await this.#options.store[Symbol.asyncDispose]();
  }
}

/** A process that died between the last entry of the log and the record. */
function endOf(job: Job): JobEnd | null {
  const last = job.told.at(-1);
  if (last?.event.kind === "done") return { kind: "done" };
  if (last?.event.kind !== "error") return null;
  if (last.state === "cancelled") return { kind: "cancelled" };
  const { code, message, details } = last.event;
  return { kind: "failed", error: { code, message, details } };
}

function stopError(address: string): GraftError {
  return new GraftError("COORDINATOR_LOST", { address, problem: "is stopping" });
}

function errorEvent({ code, message, details, info }: GraftError): ErrorEvent {
  return { kind: "error", code, message, details, exit: info.exit };
}

function newRecord(jobId: string, order: number, spec: JobSpec, submitTime: string): JobRecord {
  return {
    format: RECORD_FORMAT,
    ...{ jobId, order, submitTime },
    outputDirectory: spec.outputDirectory,
    recipePath: spec.recipePath,
    ...{ startTime: null, endTime: null, planDigest: "", totalBytes: 0, cancel: null, end: null },
  };
}

function sorted(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  return Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, item]) => [key, sorted(item)]);
}
