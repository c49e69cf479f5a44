// coordinator list: the jobs of a coordinator, oldest first.
import { listJobs } from "../serve/client-jobs.js";
import type { CoordinatorFlags } from "../serve/connect.js";
import { runSession } from "./session.js";

export function list(flags: CoordinatorFlags): Promise<void> {
  return runSession({ json: flags.json ?? false }, (session) => listJobs(session, flags));
}
