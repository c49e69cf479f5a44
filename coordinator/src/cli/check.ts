// coordinator check: everything that is wrong with a recipe and its models, at once, without reading a
// weight.
import { planMerge } from "../jobs/plan-merge.js";
import { planRequest, type RecipeFlags, startWorkers } from "./merge-flags.js";
import { runSession } from "./session.js";
import { parameterText } from "./summary.js";

export function check(recipePath: string, flags: RecipeFlags): Promise<void> {
  return runSession({ json: flags.json ?? false }, async (session) => {
    const { config, signal, onEvent } = session;
    const request = planRequest(recipePath, flags);
    await using worker = await startWorkers({}, config);
    const onStage = (): void => undefined;
    const { plan, recipe } = await planMerge(worker, request, { signal, onEvent, onStage });
    const { tensorCount, parameterCount } = plan.totals;
    if (session.json) {
      session.printJson({ kind: "ok", planDigest: plan.digest, tensorCount, parameterCount });
    } else {
      const size = `${tensorCount} tensors, ${parameterText(parameterCount)} parameters`;
      session.print(`ok: ${recipe.method} of ${recipe.references.length} models, ${size}\n`);
    }
    return 0;
  });
}
