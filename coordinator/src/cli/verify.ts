// coordinator verify: re-checks every digest of a published output; exit 1 when anything differs.
import { EXIT } from "@graft/proto";
import { formatSize } from "../jobs/format-size.js";
import { verifyOutput } from "../jobs/verify.js";
import { startWorkers, type WorkerFlags } from "./merge-flags.js";
import { runSession } from "./session.js";

export interface VerifyFlags extends WorkerFlags {
  readonly json?: boolean;
}

export function verify(directory: string, flags: VerifyFlags): Promise<void> {
  return runSession({ json: flags.json ?? false }, async (session) => {
    const { config, signal, onEvent } = session;
    await using worker = await startWorkers(flags, config);
    const startMs = performance.now();
    onEvent({ kind: "stage", stage: "verify" });
    const report = await verifyOutput({
      directory,
      worker,
      signal,
      onProgress: ({ readBytes, totalBytes }) => {
        const elapsedSeconds = (performance.now() - startMs) / 1000;
        const moved = { readBytes, writtenBytes: 0, doneBytes: readBytes, totalBytes };
        onEvent({
          kind: "progress",
          stage: "verify",
          doneTasks: 0,
          taskCount: 0,
          ...moved,
          elapsedSeconds,
        });
      },
    });
    const { differences, fileCount, tensorCount, checkedBytes } = report;
    const isGood = differences.length === 0;
    if (session.json) session.printJson({ kind: "verified", ok: isGood, ...report });
    else if (isGood) {
      const size = formatSize(checkedBytes);
      session.print(`ok: ${fileCount} files, ${tensorCount} tensors, ${size} as published\n`);
    }
    for (const text of differences) process.stderr.write(`${text}\n`);
    return isGood ? EXIT.ok : EXIT.verification;
  });
}
