// Follows a job on the terminal; shared by submit, resume and watch.
import { EXIT } from "@graft/proto";
import type { Session } from "../cli/session.js";
import { summaryText } from "../cli/summary.js";
import type { CoordinatorClient } from "./client.js";
import { type CoordinatorFlags, coordinatorFlag, openCoordinator } from "./connect.js";
import { followJob } from "./follow-job.js";
import { shortId } from "./job-id.js";

export async function watchJob(
  session: Session,
  jobId: string,
  flags: CoordinatorFlags,
): Promise<number> {
  using client = await openCoordinator(session, flags);
  // Says at once that nobody is there or that there is no such job.
  const { job } = await client.show(jobId);
  return await showJob(session, client, job?.jobId ?? jobId);
}

/** 0 when the job is done, 130 when the watching was interrupted; else rejects as the job ended. */
export async function showJob(
  session: Session,
  client: CoordinatorClient,
  jobId: string,
): Promise<number> {
  const { signal, onEvent } = session;
  try {
    const summary = await followJob({
      ...{ client, jobId, signal, onEvent },
      onLost: ({ message }) => {
        session.print("");
        process.stderr.write(`${message}; trying again, the job is safe\n`);
      },
    });
    if (!session.json) session.print(summaryText(summary));
    return EXIT.ok;
  } catch (error) {
    if (!signal.aborted) throw error;
    tellDetached(session, client, jobId);
    return EXIT.interrupted;
  }
}

function tellDetached(session: Session, client: CoordinatorClient, jobId: string): void {
  if (session.json) session.printJson({ kind: "detached", jobId, coordinator: client.address });
  session.print("");
  const rest = `${shortId(jobId)}${coordinatorFlag(client)}`;
  process.stderr.write(
    `detached; the job goes on:   coordinator watch ${rest}\n` +
      `to end it:                   coordinator cancel ${rest}\n`,
  );
}
