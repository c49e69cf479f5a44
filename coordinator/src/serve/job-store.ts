// The state directory: jobs/ID/{request,record}.json and jobs/ID/events. A job exists from the one
// rename that makes its folder appear; whoever has been told of it finds it after any crash.
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { GraftError } from "@graft/proto/errors";
import { fileError, renameDurably, syncDirectory, writeDurably } from "../jobs/durable-file.js";
import { acquireLock, type Lock } from "../jobs/lock.js";
import { type EventLog, type LogEntry, openEventLog, readEventLog } from "./event-log.js";
import { type JobRecord, type JobSpec, RECORD_FORMAT } from "./job-record.js";

export interface JobStore extends AsyncDisposable {
  /** Every job that was ever acknowledged, in order. */
  readonly recovered: readonly JobRecord[];
  /** On stable storage when it resolves. */
  create(record: JobRecord, spec: JobSpec): Promise<void>;
  /** On stable storage when it resolves. Saves of one job must not overlap. */
  save(record: JobRecord): Promise<void>;
  readSpec(jobId: string): Promise<JobSpec>;
  openLog(jobId: string): EventLog;
  readLog(jobId: string): Promise<readonly LogEntry[]>;
}

const REQUEST_NAME = "request.json";
const RECORD_NAME = "record.json";
const EVENTS_NAME = "events";
/** Of a folder that has not got its name yet; a crash leaves it behind. */
const NEW_SUFFIX = ".new";

/** Throws STATE_LOCKED when another coordinator has the directory. */
export async function openJobStore(directory: string): Promise<JobStore> {
  const jobs = join(directory, "jobs");
  try {
    await mkdir(jobs, { recursive: true });
    await syncDirectory(directory);
  } catch (error) {
    throw fileError(directory, "create", error);
  }
  const lock = await lockState(directory);
  try {
    const recovered = await recoverJobs(jobs);
    return new DirectoryStore(jobs, lock, recovered);
  } catch (error) {
    await lock[Symbol.asyncDispose]();
    throw error;
  }
}

async function lockState(directory: string): Promise<Lock> {
  try {
    return await acquireLock(directory, directory);
  } catch (error) {
    const failure = GraftError.from(error);
    if (failure.code !== "OUTPUT_LOCKED") throw failure;
    throw new GraftError("STATE_LOCKED", { ...failure.details, path: directory });
  }
}

async function recoverJobs(jobs: string): Promise<readonly JobRecord[]> {
  const records: JobRecord[] = [];
  for (const name of await readdir(jobs)) {
    // Nobody was told of these.
    if (name.endsWith(NEW_SUFFIX)) await rm(join(jobs, name), { recursive: true, force: true });
    else records.push(await readRecord(join(jobs, name, RECORD_NAME)));
  }
  return records.sort((a, b) => a.order - b.order);
}

async function readRecord(path: string): Promise<JobRecord> {
  const record = await readJson<JobRecord>(path);
  if (record.format === RECORD_FORMAT) return record;
  const problem = `format ${record.format}, this version reads ${RECORD_FORMAT}`;
  throw new GraftError("STATE_DAMAGED", { path, problem });
}

async function readJson<Content>(path: string): Promise<Content> {
  try {
    return JSON.parse(await readFile(path, "utf8"));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw fileError(path, "read", error);
    const problem = "not JSON; move the folder it is in away to start without this job";
    throw new GraftError("STATE_DAMAGED", { path, problem }, { cause: error });
  }
}

class DirectoryStore implements JobStore {
  readonly recovered: readonly JobRecord[];
  readonly #jobs: string;
  readonly #lock: Lock;

  constructor(jobs: string, lock: Lock, recovered: readonly JobRecord[]) {
    this.#jobs = jobs;
    this.#lock = lock;
    this.recovered = recovered;
  }

  async create(record: JobRecord, spec: JobSpec): Promise<void> {
    await this.#lock.assertHeld();
    const path = join(this.#jobs, record.jobId);
    const unnamed = `${path}${NEW_SUFFIX}`;
    try {
      await mkdir(unnamed);
      await writeDurably(join(unnamed, REQUEST_NAME), JSON.stringify(spec));
      await writeDurably(join(unnamed, RECORD_NAME), JSON.stringify(record));
      await writeDurably(join(unnamed, EVENTS_NAME), "");
      await syncDirectory(unnamed);
      await renameDurably(unnamed, path);
    } catch (error) {
      await rm(unnamed, { recursive: true, force: true }).catch(() => undefined);
      throw fileError(path, "create", error);
    }
  }

  async save(record: JobRecord): Promise<void> {
    await this.#lock.assertHeld();
    const path = join(this.#jobs, record.jobId, RECORD_NAME);
    try {
      await writeDurably(`${path}${NEW_SUFFIX}`, JSON.stringify(record));
      await renameDurably(`${path}${NEW_SUFFIX}`, path);
    } catch (error) {
      throw fileError(path, "write", error);
    }
  }

  readSpec(jobId: string): Promise<JobSpec> {
    return readJson(join(this.#jobs, jobId, REQUEST_NAME));
  }

  openLog(jobId: string): EventLog {
    return openEventLog(join(this.#jobs, jobId, EVENTS_NAME));
  }

  readLog(jobId: string): Promise<readonly LogEntry[]> {
    return readEventLog(join(this.#jobs, jobId, EVENTS_NAME));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#lock[Symbol.asyncDispose]();
  }
}
