// coordinator workers: the workers that jobs run on, and how they are.
import { listWorkers } from "../serve/client-jobs.js";
import type { CoordinatorFlags } from "../serve/connect.js";
import { runSession } from "./session.js";

export function workers(flags: CoordinatorFlags): Promise<void> {
  return runSession({ json: flags.json ?? false }, (session) => listWorkers(session, flags));
}
