// coordinator show: one job of a coordinator in full.
import { showOneJob } from "../serve/client-jobs.js";
import type { CoordinatorFlags } from "../serve/connect.js";
import { runSession } from "./session.js";

export function show(jobId: string, flags: CoordinatorFlags): Promise<void> {
  return runSession({ json: flags.json ?? false }, (session) => showOneJob(session, jobId, flags));
}
