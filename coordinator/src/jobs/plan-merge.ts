// From a recipe file to a plan, the part that check, plan, submit and resume share. Reads the recipe,
// the models' configs and the headers of their weight files; no weight byte.
import { readFile, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { GraftError, quoted } from "@graft/proto";
import { minimumMemoryBytes } from "../plan/cost.js";
import { createPlan } from "../plan/plan.js";
import type { DescribedModel, Plan } from "../plan/types.js";
import { parseRecipe } from "../recipe/parse.js";
import type { Problem, Recipe } from "../recipe/recipe.js";
import { formatProblem } from "../recipe/report.js";
import type { Workers } from "../rpc/workers.js";
import { type DescribeFailure, describeModels } from "./describe.js";
import { errorCode, fileError } from "./durable-file.js";
import type { OnEvent, Stage } from "./events.js";
import { formatMemory } from "./format-size.js";

export interface PlanRequest {
  readonly recipePath: string;
  /** Null reads it from the path. */
  readonly recipeText: string | null;
  readonly models: ReadonlyMap<string, string>;
  readonly workingDirectory: string;
  readonly seed: bigint;
  readonly maxShardSizeBytes: number;
  readonly lenient: boolean;
}

export interface PlannedMerge {
  readonly recipe: Recipe;
  /** In recipe order. */
  readonly models: readonly DescribedModel[];
  readonly plan: Plan;
  readonly kernelVersion: string;
  readonly workerThreads: number;
  readonly workerMemoryBytes: number;
}

export interface PlanControl {
  readonly signal: AbortSignal;
  readonly onEvent: OnEvent;
  readonly onStage: (stage: Stage) => void;
}

/** YAML readers take seconds on hostile documents far below this; no recipe comes near it. */
const RECIPE_BYTES_MAX = 1024 * 1024;

/** Throws RECIPE, PLAN or the models' error after a "problems" event with everything that is wrong. */
export async function planMerge(
  worker: Workers,
  request: PlanRequest,
  { signal, onEvent, onStage }: PlanControl,
): Promise<PlannedMerge> {
  onStage("describe");
  const path = request.recipePath;
  const text = request.recipeText ?? (await readRecipe(path));
  const report = (problems: readonly Problem[]): void => {
    if (problems.length > 0) onEvent({ kind: "problems", path, text, problems });
  };
  const { recipe, problems } = parseRecipe(text, { lenient: request.lenient });
  report(problems);
  if (recipe === null) throw problemsError("RECIPE", path, problems);
  requireKnownModels(request.models, recipe);
  const facts = worker.use((client) => client.getWorker({ signal }));
  facts.catch(() => undefined); // is looked at below, unless describing fails first
  const { models, failures } = await describeModels(worker, {
    references: recipe.references,
    mapping: request.models,
    searchDirectories: [dirname(resolve(path)), request.workingDirectory],
    signal,
  });
  signal.throwIfAborted();
  if (failures.length > 0) {
    report(failures.map(toProblem));
    throw describeError(path, failures);
  }
  onStage("plan");
  const { kernelVersion, threadCount, memoryLimitBytes } = await facts;
  const { seed, maxShardSizeBytes, lenient } = request;
  const options = { seed, maxShardSizeBytes, lenient, kernelVersion };
  const planned = createPlan(recipe, models, options);
  report(planned.problems);
  if (planned.plan === null) throw problemsError("PLAN", path, planned.problems);
  const described = recipe.references.map(({ text: reference }) => models.get(reference));
  return {
    recipe,
    models: described.filter((model) => model !== undefined),
    plan: planned.plan,
    kernelVersion,
    workerThreads: threadCount,
    workerMemoryBytes: Number(memoryLimitBytes),
  };
}

/** A mapping that nothing uses is a misspelt one. */
function requireKnownModels(mapping: ReadonlyMap<string, string>, recipe: Recipe): void {
  const known = recipe.references.map(({ text }) => text);
  for (const reference of mapping.keys()) {
    if (known.includes(reference)) continue;
    const names = known.map((name) => quoted(name)).join(", ");
    const problem = `the recipe names no model ${quoted(reference)}; its models are ${names}`;
    throw new GraftError("FLAG", { flag: "--model", problem });
  }
}

export async function readRecipe(path: string): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size > RECIPE_BYTES_MAX) {
      const problem = `${size} bytes, more than a recipe may have (${RECIPE_BYTES_MAX})`;
      throw new GraftError("FLAG", { flag: path, problem });
    }
    return await readFile(path, "utf8");
  } catch (error) {
    const code = errorCode(error);
    const what = code === "ENOENT" || code === "ENOTDIR" ? "no such recipe" : null;
    const problem = code === "EISDIR" ? "a directory, not a recipe" : what;
    if (problem !== null) throw new GraftError("FLAG", { flag: path, problem });
    throw fileError(path, "read", error);
  }
}

/** MEMORY_TOO_SMALL when the plan cannot run within the bound. */
export function checkMemory({ plan, workerThreads, workerMemoryBytes }: PlannedMerge): void {
  const needed = minimumMemoryBytes(plan, workerThreads);
  if (workerMemoryBytes >= needed) return;
  throw new GraftError("MEMORY_TOO_SMALL", {
    given: formatMemory(workerMemoryBytes),
    needed: formatMemory(needed),
    reason: `${workerThreads} threads; fewer need less, see --threads`,
  });
}

function problemsError(
  code: "RECIPE" | "PLAN",
  path: string,
  problems: readonly Problem[],
): GraftError {
  const errors = problems.filter(({ severity }) => severity === "error");
  return new GraftError(code, {
    problems: errors.map((problem) => formatProblem(path, problem)).join("\n"),
  });
}

function toProblem({ reference, error }: DescribeFailure): Problem {
  return { severity: "error", position: reference.position, message: error.message };
}

/** One error for all: the code of the first, which decides the exit code, and every message. */
function describeError(path: string, failures: readonly DescribeFailure[]): GraftError {
  const [first] = failures;
  if (first === undefined) throw new GraftError("INTERNAL", { problem: "no failure to report" });
  return GraftError.fromDetail({
    code: first.error.code,
    details: first.error.details,
    message: failures.map((failure) => formatProblem(path, toProblem(failure))).join("\n"),
  });
}
