// coordinator drain: takes a worker of a coordinator out of service.
import { drainWorker } from "../serve/client-jobs.js";
import type { CoordinatorFlags } from "../serve/connect.js";
import { runSession } from "./session.js";

export function drain(address: string, flags: CoordinatorFlags): Promise<void> {
  return runSession({ json: flags.json ?? false }, (session) =>
    drainWorker(session, address, flags),
  );
}
