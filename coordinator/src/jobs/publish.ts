// The last part of the publish protocol: everything that is not weights, the manifest last, then one
// rename. Until that rename nothing exists under the published name; after it everything does.
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { GraftError, type NonFiniteReport } from "@graft/proto";
import { buildCard } from "../plan/card.js";
import {
  buildManifest,
  MANIFEST_NAME,
  type ManifestInputDigest,
  type ManifestSideFile,
  type ManifestSpan,
} from "../plan/manifest.js";
import { publishedRecipe } from "../recipe/redact.js";
import type { Workers } from "../rpc/workers.js";
import { describeModels } from "./describe.js";
import { fileError, renameDurably, syncDirectory, writeDurably } from "./durable-file.js";
import type { Journal } from "./journal.js";
import type { Lock } from "./lock.js";
import { sealManifest, sha256 } from "./manifest-seal.js";
import { mapBounded } from "./map-bounded.js";
import type { PlannedMerge } from "./plan-merge.js";
import type { Results } from "./results.js";
import { inputSpans } from "./task-spans.js";
import { exists, type WorkPaths } from "./work.js";

export const CONFIG_NAME = "config.json";
export const INDEX_NAME = "model.safetensors.index.json";
export const CARD_NAME = "README.md";
export const RECIPE_NAME = "recipe.yaml";

const COPIES_AT_ONCE = 4;

export interface CompleteOptions {
  readonly worker: Workers;
  readonly merge: PlannedMerge;
  readonly seed: bigint;
  readonly paths: WorkPaths;
  readonly results: Results;
  readonly spans: ReadonlyMap<string, readonly ManifestSpan[]>;
  readonly fileSha256: ReadonlyMap<string, string | null>;
  readonly signal: AbortSignal;
}

/** Makes the partial directory a whole checkpoint on stable storage. */
export async function completeCheckpoint(options: CompleteOptions): Promise<void> {
  const { merge, paths } = options;
  const { plan } = merge;
  const texts = checkpointTexts(merge);
  const copied = await copySideFiles(options);
  try {
    await removeStrangers(paths.partial, [
      ...plan.files.map(({ name }) => name),
      ...copied.map(({ name }) => name),
      ...texts.keys(),
    ]);
    for (const [name, text] of texts) await writeDurably(join(paths.partial, name), text);
  } catch (error) {
    throw fileError(paths.partial, "write", error);
  }
  await checkHeaders(options);
  const written = [...texts].map(([name, text]): ManifestSideFile => {
    return { name, size: Buffer.byteLength(text), sha256: sha256(text) };
  });
  const manifest = manifestText(options, [...copied, ...written]);
  try {
    await writeDurably(join(paths.partial, MANIFEST_NAME), manifest);
    await syncDirectory(paths.partial);
  } catch (error) {
    throw fileError(paths.partial, "write", error);
  }
}

/** What this program writes itself, by file name. */
function checkpointTexts({ recipe, models, plan }: PlannedMerge): ReadonlyMap<string, string> {
  const labels = new Map(models.map(({ reference, label }) => [reference, label]));
  const labelOf = (reference: string): string => labels.get(reference) ?? reference;
  const texts = new Map<string, string>();
  if (plan.configText !== null) texts.set(CONFIG_NAME, plan.configText);
  if (plan.indexText !== null) texts.set(INDEX_NAME, plan.indexText);
  const recipeText = publishedRecipe(recipe, labelOf);
  const baseLabel = recipe.baseModel === null ? null : labelOf(recipe.baseModel.text);
  const card = { recipe, labels: models.map(({ label }) => label), baseLabel, recipeText };
  texts.set(CARD_NAME, buildCard(card));
  texts.set(RECIPE_NAME, recipeText);
  return texts;
}

async function copySideFiles(options: CompleteOptions): Promise<readonly ManifestSideFile[]> {
  const { worker, merge, paths, signal } = options;
  const { donor, sideFiles } = merge.plan;
  return mapBounded(sideFiles, COPIES_AT_ONCE, async (name) => {
    const request = { sourceDirectory: donor.directory, name, outputDirectory: paths.partial };
    const copy = await worker.use(
      (client) => client.copySideFile(request, { signal }),
      ["MODEL_NOT_FOUND", "INPUT_CHANGED"],
    );
    return { name, size: Number(copy.sizeBytes), sha256: copy.sha256 };
  });
}

/** Leftovers of an interrupted copy; nothing but the checkpoint is published. */
async function removeStrangers(directory: string, expected: readonly string[]): Promise<void> {
  const known = new Set(expected);
  for (const name of await readdir(directory)) {
    if (!known.has(name)) await rm(join(directory, name), { recursive: true, force: true });
  }
}

/** Reads the headers and the index of the finished files as any loader would: strictly, from storage. */
async function checkHeaders({ worker, merge, paths, signal }: CompleteOptions): Promise<void> {
  const position = { line: 1, column: 1 };
  const reference = { text: paths.partial, position, offset: 0, length: 0 };
  const { models, failures } = await describeModels(worker, {
    references: [reference],
    mapping: new Map(),
    searchDirectories: [],
    signal,
  });
  for (const { error } of failures) throw error;
  const found = models.get(paths.partial);
  for (const file of merge.plan.files) {
    for (const { name, dtype, shape, offsetBytes, lengthBytes } of file.tensors) {
      const tensor = found?.tensors.get(name);
      const expected = [file.name, dtype, shape, offsetBytes, lengthBytes].join();
      const actual = [
        found?.files[tensor?.file ?? -1]?.name,
        ...[tensor?.dtype, tensor?.shape, tensor?.offsetBytes, tensor?.lengthBytes],
      ].join();
      if (expected === actual) continue;
      const what = `header of tensor ${JSON.stringify(name)}`;
      const path = join(paths.partial, file.name);
      throw new GraftError("VERIFY_MISMATCH", { path, what, expected, actual });
    }
  }
}

function manifestText(options: CompleteOptions, sideFiles: readonly ManifestSideFile[]): string {
  const { merge, seed, fileSha256, spans } = options;
  const { plan, recipe, models, kernelVersion } = merge;
  const text = buildManifest({
    ...{ plan, recipe, models, kernelVersion, seed, fileSha256 },
    outputSpans: spans,
    inputDigests: inputDigests(options),
    sideFiles,
    nonFinite: nonFiniteReports(options),
  });
  return sealManifest(text);
}

function inputDigests({ merge, results }: CompleteOptions): readonly ManifestInputDigest[] {
  return merge.plan.tasks.flatMap((task) => {
    const digests = results.get(task.taskId)?.inputs ?? [];
    return inputSpans(task).map(({ model, file, tensor, offset, length }, index) => {
      return { model, file, tensor, offset, length, digest: digests[index] ?? "" };
    });
  });
}

/** In plan order, one per tensor: ranges of one tensor are added up, repeated reads are not. */
export function nonFiniteReports({
  merge,
  results,
}: Pick<CompleteOptions, "merge" | "results">): readonly NonFiniteReport[] {
  const reports = new Map<string, { report: NonFiniteReport; readonly seen: Set<number> }>();
  for (const task of merge.plan.tasks) {
    for (const [model, tensor, count, first] of results.get(task.taskId)?.nonFinite ?? []) {
      const key = JSON.stringify([model, tensor]);
      const known = reports.get(key);
      const report = { model, tensor, count: BigInt(count), firstIndex: BigInt(first) };
      if (known === undefined) reports.set(key, { report, seen: new Set([first]) });
      else if (!known.seen.has(first)) {
        known.seen.add(first);
        known.report = addReports(known.report, report);
      }
    }
  }
  return [...reports.values()].map(({ report }) => report);
}

function addReports(a: NonFiniteReport, b: NonFiniteReport): NonFiniteReport {
  const firstIndex = a.firstIndex < b.firstIndex ? a.firstIndex : b.firstIndex;
  return { ...a, count: a.count + b.count, firstIndex };
}

export interface PublishOptions {
  readonly paths: WorkPaths;
  readonly lock: Lock;
  readonly journal: Journal;
  /** Replace what is there; it is kept until the new output has appeared. */
  readonly force: boolean;
}

/** Makes the complete checkpoint appear. */
export async function publish({ paths, lock, journal, force }: PublishOptions): Promise<void> {
  await lock.assertHeld();
  const isThere = await exists(paths.output);
  if (isThere && !force) throw new GraftError("OUTPUT_EXISTS", { path: paths.output });
  try {
    if (isThere) await renameDurably(paths.output, paths.replaced);
    await renameDurably(paths.partial, paths.output);
  } catch (error) {
    throw fileError(paths.output, "publish", error);
  }
  await journal.append({ kind: "published" });
}
