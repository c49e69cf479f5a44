import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { GraftError } from "@graft/proto";
import type { MergeEvent } from "../jobs/events.js";
import { workPaths } from "../jobs/work.js";
import type { JobEvent } from "./event-log.js";
import type { Job } from "./job.js";
import { newJobId } from "./job-id.js";
import type { JobRecord, JobSpec, JobStateName } from "./job-record.js";
import { openJobStore } from "./job-store.js";
import { Jobs } from "./jobs.js";
import type { RunJob } from "./run-job.js";
import { recoverSummary } from "./settle.js";

function temporaryFolder(context: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), "graft-jobs-"));
  context.after(() => rmSync(directory, { recursive: true }));
  return directory;
}

async function openJobs(directory: string, runJob: RunJob, jobsAtOnce = 1): Promise<Jobs> {
  const store = await openJobStore(join(directory, "state"));
  const log = (): void => undefined;
  const jobs = new Jobs({ store, runJob, jobsAtOnce, name: "test", now: Date.now, log });
  jobs.start();
  return jobs;
}

function specOf(directory: string, name: string): JobSpec {
  return {
    recipePath: join(directory, "recipe.yaml"),
    recipeText: "",
    workingDirectory: directory,
    outputDirectory: join(directory, name),
    ...{ models: {}, seed: "0", maxShardSizeBytes: 1 },
    ...{ lenient: false, sha256: true, paranoid: false, force: false },
  };
}

const never: RunJob = () => assert.fail("the job ran");

const untilStopped: RunJob = async (_jobId, _spec, control) => {
  control.signal.throwIfAborted();
  const [reason] = await once(control.signal, "abort");
  throw reason;
};

const signal = AbortSignal.timeout(20_000);

/** A job as a process left it that died after these events. */
async function leave(
  directory: string,
  told: readonly (readonly [JobEvent, JobStateName])[],
  change: Partial<JobRecord> = {},
): Promise<string> {
  await using store = await openJobStore(join(directory, "state"));
  const jobId = newJobId();
  const spec = specOf(directory, "out");
  const { outputDirectory, recipePath } = spec;
  const submitTime = "2026-01-01T00:00:00.000Z";
  const record: JobRecord = {
    ...{ format: 1, jobId, order: 1, outputDirectory, recipePath, submitTime },
    ...{ startTime: null, endTime: null, planDigest: "", totalBytes: 0, cancel: null, end: null },
    ...change,
  };
  await store.create(record, spec);
  using log = store.openLog(jobId);
  for (const [event, state] of told) log.append({ time: submitTime, state, event });
  return jobId;
}

const PUBLISHED: MergeEvent = { kind: "published", output: "out" };

async function stateOf(jobs: Jobs, jobId: string): Promise<JobStateName> {
  const job = jobs.find(jobId);
  await job.ended(signal);
  return job.state;
}

async function events(job: Job): Promise<readonly string[]> {
  const kinds: string[] = [];
  for await (const { event } of job.follow(0, signal)) kinds.push(event.kind);
  return kinds;
}

test("a job that had published when its process died is done without running again", async (context) => {
  const directory = temporaryFolder(context);
  const jobId = await leave(directory, [[PUBLISHED, "publishing"]]);
  mkdirSync(join(directory, "out"));
  await using jobs = await openJobs(directory, never);
  assert.equal(await stateOf(jobs, jobId), "done");
  assert.deepEqual(await events(jobs.find(jobId)), ["published", "done"]);
});

test("a cancel that came after the publishing changes nothing", async (context) => {
  const directory = temporaryFolder(context);
  const cancel = { keepWork: false };
  const jobId = await leave(directory, [[PUBLISHED, "publishing"]], { cancel });
  await using jobs = await openJobs(directory, never);
  assert.equal(await stateOf(jobs, jobId), "done");
});

test("an end that is in the log only becomes the end of the record", async (context) => {
  const summary = await recoverSummary(workPaths("nowhere"), []);
  const error = { kind: "error", code: "IO", message: "m", details: {}, exit: 3 } as const;
  const cases: readonly (readonly [JobEvent, JobStateName])[] = [
    [{ kind: "done", summary }, "done"],
    [error, "failed"],
    [{ ...error, code: "JOB_CANCELLED" }, "cancelled"],
  ];
  for (const [event, state] of cases) {
    const directory = temporaryFolder(context);
    const jobId = await leave(directory, [[event, state]]);
    await using jobs = await openJobs(directory, never);
    assert.equal(await stateOf(jobs, jobId), state);
    assert.deepEqual(await events(jobs.find(jobId)), [event.kind]);
  }
});

test("a job whose cancel was on disk is cancelled, not run", async (context) => {
  const directory = temporaryFolder(context);
  const jobId = await leave(directory, [], { cancel: { keepWork: false } });
  await using jobs = await openJobs(directory, never);
  assert.equal(await stateOf(jobs, jobId), "cancelled");
});

test("a folder that never got its name is no job, and is removed", async (context) => {
  const directory = temporaryFolder(context);
  const unnamed = join(directory, "state", "jobs", `${newJobId()}.new`);
  mkdirSync(unnamed, { recursive: true });
  writeFileSync(join(unnamed, "request.json"), "{");
  await using jobs = await openJobs(directory, never);
  assert.deepEqual(jobs.list(), []);
  assert.deepEqual(readdirSync(join(directory, "state", "jobs")), []);
});

test("a damaged record stops the start and is named", async (context) => {
  const directory = temporaryFolder(context);
  const path = join(directory, "state", "jobs", newJobId());
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, "record.json"), "{");
  await assert.rejects(openJobStore(join(directory, "state")), (error) => {
    assert.ok(error instanceof GraftError && error.code === "STATE_DAMAGED");
    assert.match(error.message, /record\.json: not JSON/);
    return true;
  });
  rmSync(path, { recursive: true });
  // The failed start holds no lock.
  await using _store = await openJobStore(join(directory, "state"));
});

test("jobs run in the order they came, no more at once than allowed", async (context) => {
  const directory = temporaryFolder(context);
  const release = new Map<string, () => void>();
  const runJob: RunJob = async (jobId, spec, { onEvent }) => {
    await new Promise<void>((resolve) => release.set(jobId, resolve));
    const summary = await recoverSummary(workPaths(spec.outputDirectory), []);
    onEvent({ kind: "done", summary });
    return summary;
  };
  await using jobs = await openJobs(directory, runJob, 2);
  const ids: string[] = [];
  for (let index = 0; index < 5; index += 1) {
    const { record } = await jobs.submit(newJobId(), specOf(directory, `out-${index}`));
    ids.push(record.jobId);
  }
  for (const [index, jobId] of ids.entries()) {
    while (!release.has(jobId)) await new Promise(setImmediate);
    const allowed = ids.slice(0, index + 2);
    assert.ok([...release.keys()].every((started) => allowed.includes(started)));
    release.get(jobId)?.();
    await jobs.find(jobId).ended(signal);
  }
});

test("a job is found by the beginning of its id, when that names one only", async (context) => {
  const directory = temporaryFolder(context);
  await using jobs = await openJobs(directory, untilStopped, 3);
  const common = "0123456789abcdef0123456789abcd";
  await jobs.submit(`${common}00`, specOf(directory, "a"));
  assert.equal(jobs.find("012345").record.jobId, `${common}00`);
  await jobs.submit(`${common}01`, specOf(directory, "b"));
  const code = (text: string): string => {
    try {
      return jobs.find(text).record.jobId.slice(-2);
    } catch (error) {
      return GraftError.from(error).code;
    }
  };
  assert.deepEqual(
    [code(`${common}01`), code("012345"), code("01234"), code("ffffff"), code("")],
    ["01", "JOB_AMBIGUOUS", "JOB_NOT_FOUND", "JOB_NOT_FOUND", "JOB_NOT_FOUND"],
  );
});
