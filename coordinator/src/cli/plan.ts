// coordinator plan: what a merge would read, write, keep and ignore, to the byte, before it does.
import { resolve } from "node:path";
import { checkMemory, planMerge } from "../jobs/plan-merge.js";
import { checkDiskRoom, checkOutputFree, checkOutputPlace, diskRoom } from "../jobs/preflight.js";
import { exists, workPaths } from "../jobs/work.js";
import { peakMemoryBytes } from "../plan/cost.js";
import { planRequest, type RecipeFlags, startWorkers, type WorkerFlags } from "./merge-flags.js";
import { planJson } from "./plan-json.js";
import { planText } from "./plan-text.js";
import { runSession, type Session } from "./session.js";

export interface PlanFlags extends RecipeFlags, WorkerFlags {
  readonly out?: string;
  readonly force?: boolean;
  /** Every tensor instead of groups. */
  readonly ledger?: boolean;
}

export function plan(recipePath: string, flags: PlanFlags): Promise<void> {
  return runSession({ json: flags.json ?? false }, (session) =>
    showPlan(session, recipePath, flags),
  );
}

/** Refuses what submit would refuse when --out is given; without it the disk is only reported. */
export async function showPlan(
  session: Session,
  recipePath: string,
  flags: PlanFlags,
): Promise<number> {
  const { config, signal, onEvent } = session;
  const request = planRequest(recipePath, flags);
  await using worker = await startWorkers(flags, config);
  const onStage = (): void => undefined;
  const merge = await planMerge(worker, request, { signal, onEvent, onStage });
  checkMemory(merge);
  const paths = workPaths(resolve(flags.out ?? "merged"));
  if (flags.out !== undefined) {
    await checkOutputPlace(paths, merge.models);
    if (!(await exists(paths.work))) await checkOutputFree(paths, flags.force ?? false);
  }
  const room = await diskRoom(paths, merge.plan.totals.outputBytes);
  if (flags.out !== undefined) checkDiskRoom(paths.parent, room);
  const { workerThreads, workerMemoryBytes, plan: planned } = merge;
  const memory = peakMemoryBytes(planned, workerThreads, workerMemoryBytes);
  const facts = { merge, room, peakMemoryBytes: memory, directory: paths.parent };
  if (session.json) session.printJson(planJson(facts));
  else session.print(planText(facts, { full: flags.ledger ?? false }));
  return 0;
}
