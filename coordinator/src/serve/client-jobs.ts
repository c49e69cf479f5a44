// The questions people ask a coordinator: which jobs, how is this one, what did it say, end it; which
// workers, and let one go.
import { GraftError, JobState } from "@graft/proto";
import type { Session } from "../cli/session.js";
import { type CoordinatorFlags, openCoordinator } from "./connect.js";
import { shortId } from "./job-id.js";
import { jobJson, jobTable, jobText, logLine, workerJson, workerTable } from "./job-text.js";
import { readState } from "./messages.js";

export async function listJobs(session: Session, flags: CoordinatorFlags): Promise<number> {
  using client = await openCoordinator(session, flags);
  const { jobs } = await client.list();
  if (session.json) for (const job of jobs) session.printJson(jobJson(job));
  else session.print(jobTable(jobs));
  return 0;
}

export async function showOneJob(
  session: Session,
  jobId: string,
  flags: CoordinatorFlags,
): Promise<number> {
  using client = await openCoordinator(session, flags);
  const { job, recipeText, workingDirectory, options } = await client.show(jobId);
  if (job === undefined) throw new GraftError("JOB_NOT_FOUND", { job: jobId });
  if (session.json) session.printJson({ ...jobJson(job), recipeText, workingDirectory, options });
  else session.print(jobText(job, recipeText));
  return 0;
}

export async function cancelJob(
  session: Session,
  jobId: string,
  flags: CoordinatorFlags & { readonly keep?: boolean },
): Promise<number> {
  using client = await openCoordinator(session, flags);
  const answer = await client.cancel({ jobId, keepWork: flags.keep ?? false });
  const state = readState(answer.state);
  if (session.json) session.printJson({ kind: "cancelled", jobId: answer.jobId, state });
  else if (answer.state === JobState.JOB_STATE_CANCELLED) {
    session.print(`job ${shortId(answer.jobId)} is cancelled; nothing was published\n`);
  } else if (answer.state === JobState.JOB_STATE_CANCELLING) {
    session.print(`job ${shortId(answer.jobId)} is going to stop\n`);
  } else session.print(`job ${shortId(answer.jobId)} had ended before: ${state}\n`);
  return 0;
}

export async function printLog(
  session: Session,
  jobId: string,
  flags: CoordinatorFlags,
): Promise<number> {
  using client = await openCoordinator(session, flags);
  // Waits for a coordinator that is being restarted, as a stream does not.
  const { job } = await client.show(jobId);
  for await (const entry of client.logs(job?.jobId ?? jobId)) {
    const { sequence, eventTime, state, json } = entry;
    const event = JSON.parse(json);
    if (!session.json) session.print(logLine(eventTime, event));
    else session.printJson({ sequence, time: eventTime, state: readState(state), event });
  }
  return 0;
}

export async function listWorkers(session: Session, flags: CoordinatorFlags): Promise<number> {
  using client = await openCoordinator(session, flags);
  const { workers } = await client.listWorkers();
  if (session.json) for (const worker of workers) session.printJson(workerJson(worker));
  else session.print(workerTable(workers));
  return 0;
}

export async function drainWorker(
  session: Session,
  address: string,
  flags: CoordinatorFlags,
): Promise<number> {
  using client = await openCoordinator(session, flags);
  await client.drainWorker(address);
  if (session.json) session.printJson({ kind: "drained", worker: address });
  else session.print(`worker ${address} takes no more tasks and has finished those it had\n`);
  return 0;
}
