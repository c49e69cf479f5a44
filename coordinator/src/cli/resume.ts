// coordinator resume: continues interrupted work with the request its journal holds.
import { resolve } from "node:path";
import { exists, workPaths } from "../jobs/work.js";
import { startWorkers, type WorkerFlags } from "./merge-flags.js";
import { runSession, type Session } from "./session.js";

export interface ResumeFlags extends WorkerFlags {
  readonly json?: boolean;
  /** Of a coordinator that takes the work instead. */
  readonly coordinator?: string;
  readonly detach?: boolean;
}

export function resume(directory: string, flags: ResumeFlags): Promise<void> {
  return runSession({ json: flags.json ?? false, output: directory }, async (session) => {
    if (flags.coordinator || process.env.GRAFT_COORDINATOR) {
      return (await import("../serve/client-submit.js")).resumeAt(session, directory, flags);
    }
    return continueMerge(session, directory, flags);
  });
}

async function continueMerge(
  session: Session,
  directory: string,
  flags: ResumeFlags,
): Promise<number> {
  const { config, signal, onEvent } = session;
  await using worker = await startWorkers(flags, config);
  // Loaded while the worker boots.
  const { runMerge } = await import("../jobs/merge.js");
  const { readInterrupted } = await import("../jobs/open-job.js");
  const { summaryText } = await import("./summary.js");
  const { request } = await readInterrupted(workPaths(directory));
  // The recipe file itself when it is still there, so that a change to it is noticed.
  const isThere = await exists(request.recipePath);
  const summary = await runMerge(
    {
      worker,
      leaseTtlMs: config.leaseTtlMs,
      recipePath: request.recipePath,
      recipeText: isThere ? null : request.recipeText,
      models: new Map(Object.entries(request.models)),
      workingDirectory: request.workingDirectory,
      seed: BigInt(request.seed),
      maxShardSizeBytes: request.maxShardSizeBytes,
      lenient: request.lenient,
      outputDirectory: resolve(directory),
      force: request.force,
      sha256: request.sha256,
      paranoid: request.paranoid,
    },
    { signal, onEvent },
  );
  if (!session.json) session.print(summaryText(summary));
  return 0;
}
