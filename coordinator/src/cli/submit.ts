// coordinator submit: the main job. With --dry-run it plans, checks the place and the disk, and stops.
import { resolve } from "node:path";
import { GraftError } from "@graft/proto/errors";
import { planRequest, type RecipeFlags, startWorkers, type WorkerFlags } from "./merge-flags.js";
import { runSession, type Session } from "./session.js";

export interface SubmitFlags extends RecipeFlags, WorkerFlags {
  readonly out: string;
  readonly dryRun?: boolean;
  readonly force?: boolean;
  /** false with --no-sha256. */
  readonly sha256: boolean;
  readonly paranoid?: boolean;
  /** Of a coordinator that takes the job instead. */
  readonly coordinator?: string;
  readonly detach?: boolean;
}

export function submit(recipePath: string, flags: SubmitFlags): Promise<void> {
  const json = flags.json ?? false;
  return runSession({ json, output: flags.out }, async (session) => {
    if (flags.coordinator || process.env.GRAFT_COORDINATOR) {
      return (await import("../serve/client-submit.js")).submitTo(session, recipePath, flags);
    }
    if (flags.detach) {
      const problem = "needs --coordinator: a merge that runs here ends with this command";
      throw new GraftError("FLAG", { flag: "--detach", problem });
    }
    if (flags.dryRun) return (await import("./plan.js")).showPlan(session, recipePath, flags);
    return merge(session, recipePath, flags);
  });
}

async function merge(session: Session, recipePath: string, flags: SubmitFlags): Promise<number> {
  const { config, signal, onEvent } = session;
  const request = planRequest(recipePath, flags);
  await using worker = await startWorkers(flags, config);
  // Loaded while the worker boots.
  const { runMerge } = await import("../jobs/merge.js");
  const { summaryText } = await import("./summary.js");
  const summary = await runMerge(
    {
      ...request,
      worker,
      leaseTtlMs: config.leaseTtlMs,
      outputDirectory: resolve(flags.out),
      force: flags.force ?? false,
      sha256: flags.sha256,
      paranoid: flags.paranoid ?? false,
    },
    { signal, onEvent },
  );
  if (!session.json) session.print(summaryText(summary));
  return 0;
}
