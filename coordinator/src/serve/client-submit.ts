// Jobs given to a coordinator from the command line, and followed as if they ran here. Ctrl-C only
// stops the watching: the job is the coordinator's from the moment it was acknowledged.
import { resolve } from "node:path";
import { GraftError } from "@graft/proto";
import { planRequest, type WorkerFlags } from "../cli/merge-flags.js";
import type { Session } from "../cli/session.js";
import type { SubmitFlags } from "../cli/submit.js";
import { formatSize } from "../jobs/format-size.js";
import { readRecipe } from "../jobs/plan-merge.js";
import type { LedgerCounts } from "../jobs/summary.js";
import { showJob } from "./client-watch.js";
import { type CoordinatorFlags, coordinatorFlag, openCoordinator } from "./connect.js";
import { newJobId, shortId } from "./job-id.js";
import { checkRecipe } from "./recipe-check.js";

export interface SubmitToFlags extends SubmitFlags, CoordinatorFlags {
  readonly json?: boolean;
  /** Return as soon as the job is acknowledged. */
  readonly detach?: boolean;
}

/** Submits to the named coordinator and, unless detached, follows the job; gives the exit code. */
export async function submitTo(
  session: Session,
  recipePath: string,
  flags: SubmitToFlags,
): Promise<number> {
  refuseWorkerFlags(flags);
  const { models, seed, maxShardSizeBytes, lenient, workingDirectory } = planRequest(
    recipePath,
    flags,
  );
  const text = await readRecipe(recipePath);
  const { problems, error } = checkRecipe(recipePath, text, lenient);
  if (error !== null) {
    session.onEvent({ kind: "problems", path: recipePath, text, problems });
    throw error;
  }
  using client = await openCoordinator(session, flags);
  const request = {
    recipeText: text,
    recipePath: resolve(recipePath),
    workingDirectory,
    options: {
      ...{ seed, lenient, sha256: flags.sha256 },
      maxShardSizeBytes: BigInt(maxShardSizeBytes),
      force: flags.force ?? false,
      paranoid: flags.paranoid ?? false,
      models: Object.fromEntries(models),
    },
  };
  if (flags.dryRun) return showDryRun(session, await client.plan(request));
  const jobId = newJobId();
  await client.submit({ ...request, jobId, outputDirectory: resolve(flags.out) });
  const { address } = client;
  if (session.json) session.printJson({ kind: "submitted", jobId, coordinator: address });
  if (!flags.detach) {
    if (!session.json) process.stderr.write(`job ${shortId(jobId)} is with ${address}\n`);
    return await showJob(session, client, jobId);
  }
  if (!session.json) {
    session.print(`${jobId}\n`);
    process.stderr.write(
      `watch it: coordinator watch ${shortId(jobId)}${coordinatorFlag(client)}\n`,
    );
  }
  return 0;
}

/** The part of the plan's JSON that is shown. */
interface PlanFacts {
  readonly planDigest: string;
  readonly totals: { readonly readBytes: number; readonly outputBytes: number };
  readonly tasks: readonly unknown[];
  readonly ledgerCounts: LedgerCounts;
}

function showDryRun(session: Session, json: string): number {
  const plan: PlanFacts = JSON.parse(json);
  if (session.json) {
    session.printJson(plan);
    return 0;
  }
  const { planDigest, totals, tasks, ledgerCounts } = plan;
  const { merged, copied, aliased, ignored } = ledgerCounts;
  session.print(
    `plan digest ${planDigest}\n` +
      `read ${formatSize(totals.readBytes)}, write ${formatSize(totals.outputBytes)}, ` +
      `${tasks.length} tasks\n` +
      `ledger: ${merged} merged, ${copied} copied, ${aliased} aliased, ${ignored} ignored\n`,
  );
  return 0;
}

/** Continues interrupted work as a job of the named coordinator, and follows it. */
export async function resumeAt(
  session: Session,
  directory: string,
  flags: CoordinatorFlags & WorkerFlags & { readonly detach?: boolean },
): Promise<number> {
  refuseWorkerFlags(flags);
  using client = await openCoordinator(session, flags);
  const { jobId } = await client.resume(resolve(directory));
  if (session.json) session.printJson({ kind: "submitted", jobId, coordinator: client.address });
  else process.stderr.write(`job ${shortId(jobId)} is with ${client.address}\n`);
  return flags.detach ? 0 : await showJob(session, client, jobId);
}

/** The bounds of workers are theirs, and which workers there are is the coordinator's to say. */
function refuseWorkerFlags({ worker = [], memory, threads }: WorkerFlags): void {
  const given = { "--worker": worker[0], "--memory": memory, "--threads": threads };
  for (const [flag, value] of Object.entries(given)) {
    if (value === undefined) continue;
    const problem = "belongs to coordinator serve, not with --coordinator";
    throw new GraftError("FLAG", { flag, problem });
  }
}
