// coordinator clean: removes the partial work beside an output, never the output itself.
import { exists, openWork, removeWork, settleSwap, workPaths } from "../jobs/work.js";
import { runSession } from "./session.js";

export interface CleanFlags {
  readonly json?: boolean;
}

export function clean(directory: string, flags: CleanFlags): Promise<void> {
  return runSession({ json: flags.json ?? false }, async (session) => {
    const paths = workPaths(directory);
    const wasThere = await exists(paths.work);
    if (wasThere) {
      const lock = await openWork(paths);
      // An output that a --force swap had moved aside goes back first.
      await settleSwap(paths);
      await removeWork(paths, lock);
    }
    if (session.json) session.printJson({ kind: "cleaned", work: paths.work, removed: wasThere });
    else session.print(wasThere ? `removed ${paths.work}\n` : `nothing to clean: ${paths.work}\n`);
    return 0;
  });
}
