// Planning: recipe + described models -> every output tensor with its operation and its final place.
// Pure, and one pass over the tensors of each model; nothing here reads a weight.
import { type Dtype, dtypeInfo } from "@graft/proto";
import type { Problem, Recipe } from "../recipe/recipe.js";
import { canonicalDigest, compareText, sha256Hex } from "./canonical.js";
import { checkCompatibility } from "./compatibility.js";
import { type ConfigChanges, editConfig } from "./config.js";
import { type Layout, layOut } from "./layout.js";
import { LedgerBuilder } from "./ledger.js";
import { indexModel, type ModelIndex, templateRanks } from "./model-index.js";
import { requestsOfModels } from "./models-form.js";
import { isHeadName, isInputEmbeddingName } from "./names.js";
import { elementCount } from "./operands.js";
import { type OperationContext, planTensor } from "./operations.js";
import { ParameterResolver } from "./parameters.js";
import type { PlannedTensor } from "./planned-tensor.js";
import { NoteList, ProblemList } from "./problem-list.js";
import { compareOrder, type OutputRequest, resolveScope, type SliceScope } from "./requests.js";
import { sideFilesToCopy } from "./side-files.js";
import { requestsOfSlices, type SlicesResult, unusedReason } from "./slices-form.js";
import { buildTasks } from "./tasks.js";
import type { DescribedModel, LedgerEntry, Plan, PlanOptions, PlanTotals } from "./types.js";

/** Part of every plan digest: a journal of another format is another plan. */
export const PLAN_FORMAT_VERSION = 1;

export interface PlanResult {
  /** null when there are problems. */
  readonly plan: Plan | null;
  readonly problems: readonly Problem[];
}

/** `models` holds every reference of the recipe, by its text. Deterministic, in any map order. */
export function createPlan(
  recipe: Recipe,
  models: ReadonlyMap<string, DescribedModel>,
  options: PlanOptions,
): PlanResult {
  const problems = new ProblemList();
  const notes = new NoteList();
  const indices = recipe.references.map((reference, position) => {
    const model = models.get(reference.text);
    if (model === undefined) throw new Error(`model ${reference.text} was not described`);
    return indexModel(model, reference, position);
  });
  checkCompatibility(indices, problems);
  if (!problems.isEmpty) return { plan: null, problems: problems.problems() };
  const draft = draftTensors(recipe, indices, options, problems, notes);
  if (draft === null) return { plan: null, problems: problems.problems() };
  return { plan: finishPlan(recipe, indices, options, draft, notes), problems: [] };
}

interface Draft {
  readonly tensors: readonly PlannedTensor[];
  readonly ledger: readonly LedgerEntry[];
  readonly slices: SlicesResult | null;
}

function draftTensors(
  recipe: Recipe,
  indices: readonly ModelIndex[],
  options: PlanOptions,
  problems: ProblemList,
  notes: NoteList,
): Draft | null {
  const byText = new Map(indices.map((index) => [index.reference.text, index]));
  const scopes = recipe.slices.map((slice) => resolveScope(slice, recipe.baseModel, byText));
  const ranks = templateRanks(indices);
  const slices =
    recipe.form === "slices" ? requestsOfSlices(scopes, indices, ranks, problems) : null;
  const requests = slices?.requests ?? requestsOfWhole(recipe, scopes, ranks, problems);
  if (!problems.isEmpty) return null;
  requests.sort((a, b) => compareOrder(a.order, b.order) || compareText(a.name, b.name));
  const ledger = new LedgerBuilder();
  const parameters = new ParameterResolver(recipe, problems);
  const context: OperationContext = {
    recipe,
    seed: options.seed,
    parameters,
    ledger,
    problems,
    notes,
  };
  const tensors = requests
    .map((request) => planTensor(request, context))
    .filter((tensor) => tensor !== null);
  if (!problems.isEmpty) return null;
  const sources = new Set(scopes.flatMap((scope) => scope.sources.map(({ index }) => index)));
  const entries = ledger.entries(indices, (index, tensor) => {
    if (slices === null) throw new Error(`tensor ${tensor.info.name} was not planned`);
    return unusedReason(tensor, slices.prefix, sources.has(index));
  });
  return { tensors, ledger: entries, slices };
}

function requestsOfWhole(
  recipe: Recipe,
  scopes: readonly SliceScope[],
  ranks: ReadonlyMap<string, number>,
  problems: ProblemList,
): OutputRequest[] {
  const scope = scopes[0];
  if (recipe.form !== "models" || scope === undefined) return [];
  return requestsOfModels(scope, ranks, problems);
}

function finishPlan(
  recipe: Recipe,
  indices: readonly ModelIndex[],
  options: PlanOptions,
  draft: Draft,
  notes: NoteList,
): Plan {
  const donor = indices[0];
  if (donor === undefined) throw new Error("a recipe has at least one model");
  const layout = layOut(draft.tensors, options.maxShardSizeBytes);
  const tasks = buildTasks(draft.tensors, layout.files, options.kernelVersion);
  const configText = outputConfig(recipe, donor, draft, notes);
  const sideFiles = sideFilesToCopy(donor, notes);
  const described = indices.flatMap(({ model }) =>
    model.notes.map((note) => `${model.label}: ${note}`),
  );
  return {
    digest: planDigest(tasks, layout, configText, sideFiles, options.seed),
    tasks,
    files: layout.files,
    ledger: draft.ledger,
    totals: totalsOf(tasks, layout, draft.tensors),
    configText,
    indexText: layout.indexText,
    donor: donor.model,
    sideFiles,
    notes: [...described, ...notes.lines()],
  };
}

function outputConfig(
  recipe: Recipe,
  donor: ModelIndex,
  draft: Draft,
  notes: NoteList,
): string | null {
  if (donor.config === null) {
    notes.add("no config", () => `${donor.model.label}: no config.json, so the output has none`);
    return null;
  }
  const changes: ConfigChanges = {
    origins: draft.slices?.origins ?? null,
    dtype: recipe.outputDtype,
    vocabularySize: newVocabularySize(donor, draft.tensors),
    untie: draft.tensors.some(({ name }) => isHeadName(name) && isNewHead(name, donor, draft)),
  };
  return editConfig(donor.config, changes, notes);
}

/** Rows of the output's token embedding, unless they are the donor's own or what its config says. */
function newVocabularySize(donor: ModelIndex, tensors: readonly PlannedTensor[]): number | null {
  const embedding = tensors.find(({ name, shape }) => {
    return shape.length === 2 && isInputEmbeddingName(name);
  });
  const rows = embedding?.shape[0];
  if (embedding === undefined || rows === undefined) return null;
  return donor.model.tensors.get(embedding.name)?.shape[0] === rows ? null : rows;
}

/** A head that the donor does not have itself, or that some tied model's embedding went into. */
function isNewHead(name: string, donor: ModelIndex, draft: Draft): boolean {
  if (!donor.model.tensors.has(name)) return true;
  const head = draft.tensors.find((tensor) => tensor.name === name);
  return head?.inputs.some(({ tensor }) => isInputEmbeddingName(tensor.name)) ?? false;
}

function totalsOf(
  tasks: Plan["tasks"],
  layout: Layout,
  tensors: readonly PlannedTensor[],
): PlanTotals {
  const isWeight = (dtype: Dtype) => dtypeInfo(dtype).kind !== "integer";
  return {
    readBytes: tasks.reduce((sum, task) => sum + Number(task.readBytes), 0),
    writeBytes: tasks.reduce((sum, task) => sum + Number(task.writeBytes), 0),
    outputBytes: layout.files.reduce((sum, file) => sum + file.sizeBytes, 0),
    tensorCount: tensors.length,
    parameterCount: tensors
      .filter(({ dtype }) => isWeight(dtype))
      .reduce((sum, { shape }) => sum + elementCount(shape), 0),
  };
}

function planDigest(
  tasks: Plan["tasks"],
  layout: Layout,
  configText: string | null,
  sideFiles: readonly string[],
  seed: bigint,
): string {
  return canonicalDigest({
    format: PLAN_FORMAT_VERSION,
    tasks: tasks.map(({ taskId }) => taskId),
    files: layout.files.map(({ name, sizeBytes, header }) => {
      return { name, sizeBytes, header: sha256Hex(header) };
    }),
    config: configText,
    sideFiles,
    seed,
  });
}
