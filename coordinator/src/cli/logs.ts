// coordinator logs: what a job of a coordinator has told so far.
import { printLog } from "../serve/client-jobs.js";
import type { CoordinatorFlags } from "../serve/connect.js";
import { runSession } from "./session.js";

export function logs(jobId: string, flags: CoordinatorFlags): Promise<void> {
  return runSession({ json: flags.json ?? false }, (session) => printLog(session, jobId, flags));
}
