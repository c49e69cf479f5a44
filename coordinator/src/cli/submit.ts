// coordinator submit: the main job. With --dry-run it plans, checks the place and the disk, and stops.
import { resolve } from "node:path";
import { runMerge } from "../jobs/merge.js";
import { planRequest, type RecipeFlags, type WorkerFlags, workerBounds } from "./merge-flags.js";
import { showPlan } from "./plan.js";
import { runSession, type Session } from "./session.js";
import { summaryText } from "./summary.js";

export interface SubmitFlags extends RecipeFlags, WorkerFlags {
  readonly out: string;
  readonly dryRun?: boolean;
  readonly force?: boolean;
  /** false with --no-sha256. */
  readonly sha256: boolean;
  readonly paranoid?: boolean;
}

export function submit(recipePath: string, flags: SubmitFlags): Promise<void> {
  const json = flags.json ?? false;
  return runSession({ json, output: flags.out }, async (session) => {
    if (flags.dryRun) return showPlan(session, recipePath, flags);
    return merge(session, recipePath, flags);
  });
}

async function merge(session: Session, recipePath: string, flags: SubmitFlags): Promise<number> {
  const { config, signal, onEvent } = session;
  const summary = await runMerge(
    {
      ...planRequest(recipePath, flags),
      ...workerBounds(flags, config),
      outputDirectory: resolve(flags.out),
      force: flags.force ?? false,
      sha256: flags.sha256,
      paranoid: flags.paranoid ?? false,
      workerCommand: config.workerCommand,
      debug: config.debug,
    },
    { signal, onEvent },
  );
  if (!session.json) session.print(summaryText(summary));
  return 0;
}
