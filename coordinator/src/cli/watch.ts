// coordinator watch: follow a job of a coordinator to its end.
import { watchJob } from "../serve/client-watch.js";
import type { CoordinatorFlags } from "../serve/connect.js";
import { runSession } from "./session.js";

export function watch(jobId: string, flags: CoordinatorFlags): Promise<void> {
  return runSession({ json: flags.json ?? false }, (session) => watchJob(session, jobId, flags));
}
