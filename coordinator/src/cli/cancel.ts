// coordinator cancel: ends a job of a coordinator.
import { cancelJob } from "../serve/client-jobs.js";
import type { CoordinatorFlags } from "../serve/connect.js";

import { runSession } from "./session.js";

export interface CancelFlags extends CoordinatorFlags {
  /** Leaves the partial work for "resume". */
  readonly keep?: boolean;
}

export function cancel(jobId: string, flags: CancelFlags): Promise<void> {
  return runSession({ json: flags.json ?? false }, (session) => cancelJob(session, jobId, flags));
}
