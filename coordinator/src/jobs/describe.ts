// Asks a worker what every model of a recipe is, all at once. All failures come back together, each
// with the place in the recipe that names the model.
import { basename, dirname, isAbsolute, join, resolve } from "node:path";
import { type DescribeModelResponse, GraftError, quoted, type TensorEntry } from "@graft/proto";
import type { DescribedModel, PinnedFile, TensorInfo } from "../plan/types.js";
import type { ModelReference } from "../recipe/recipe.js";
import type { Workers } from "../rpc/workers.js";

export interface DescribeOptions {
  readonly references: readonly ModelReference[];
  /** Reference text to directory, from --model. */
  readonly mapping: ReadonlyMap<string, string>;
  /** Directories that relative references are tried against, in order. */
  readonly searchDirectories: readonly string[];
  readonly signal: AbortSignal;
}

export interface DescribeFailure {
  readonly reference: ModelReference;
  readonly error: GraftError;
}

export interface Descriptions {
  /** By reference text; complete when there is no failure. */
  readonly models: ReadonlyMap<string, DescribedModel>;
  readonly failures: readonly DescribeFailure[];
}

export async function describeModels(
  worker: Workers,
  options: DescribeOptions,
): Promise<Descriptions> {
  const labels = labelReferences(options.references.map(({ text }) => text));
  const models = new Map<string, DescribedModel>();
  const failures: DescribeFailure[] = [];
  const outcomes = await Promise.allSettled(
    options.references.map((reference) => describeModel(worker, reference, labels, options)),
  );
  for (const [index, outcome] of outcomes.entries()) {
    const reference = options.references[index] as ModelReference;
    if (outcome.status === "fulfilled") models.set(reference.text, outcome.value);
    else failures.push({ reference, error: GraftError.from(outcome.reason) });
  }
  return { models, failures };
}

async function describeModel(
  worker: Workers,
  { text }: ModelReference,
  labels: ReadonlyMap<string, string>,
  { mapping, searchDirectories, signal }: DescribeOptions,
): Promise<DescribedModel> {
  const reference = mapping.get(text) ?? text;
  try {
    return await worker.use(
      async (client) => {
        const answers = client.describeModel(
          { reference, searchDirectories: [...searchDirectories] },
          { signal },
        );
        return collect(text, labels.get(text) ?? text, answers);
      },
      ["MODEL_NOT_FOUND"],
    );
  } catch (error) {
    const isHub = !mapping.has(text) && looksLikeHub(text);
    if (isHub && error instanceof GraftError && error.code === "MODEL_NOT_FOUND") {
      const name = quoted(text).slice(1, -1);
      throw new GraftError("MODEL_HUB_REFERENCE", { reference: name }, { cause: error });
    }
    throw error;
  }
}

/** org/name: two plain words, neither of which steps out of a directory. */
export function looksLikeHub(reference: string): boolean {
  return /^[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*$/.test(reference);
}

async function collect(
  reference: string,
  label: string,
  answers: AsyncIterable<DescribeModelResponse>,
): Promise<DescribedModel> {
  const tensors = new Map<string, TensorInfo>();
  let head: Omit<DescribedModel, "tensors"> | null = null;
  let tensorCount = 0;
  for await (const { part } of answers) {
    if (part?.$case === "tensors") {
      for (const entry of part.value.tensors) tensors.set(entry.name, toTensorInfo(entry));
    } else if (part?.$case === "model") {
      const { directory, configJson, sideFiles, weightFiles, notes } = part.value;
      tensorCount = Number(part.value.tensorCount);
      head = {
        reference,
        label,
        directory,
        configText: configJson.length === 0 ? null : Buffer.from(configJson).toString("utf8"),
        sideFiles: sideFiles.map(({ name, sizeBytes }) => ({ name, sizeBytes: Number(sizeBytes) })),
        files: weightFiles.map(
          (file): PinnedFile => ({ ...file, sizeBytes: Number(file.sizeBytes) }),
        ),
        notes,
      };
    }
  }
  if (head === null || tensors.size !== tensorCount) {
    const problem = `described ${tensors.size} of ${tensorCount} tensors of ${quoted(reference)}`;
    throw new GraftError("INTERNAL", { problem });
  }
  return { ...head, tensors };
}

function toTensorInfo(entry: TensorEntry): TensorInfo {
  return {
    name: entry.name,
    dtype: entry.dtype,
    shape: entry.shape.map(Number),
    file: entry.fileIndex,
    offsetBytes: Number(entry.offsetBytes),
    lengthBytes: Number(entry.lengthBytes),
  };
}

/**
 * What a model is called in everything that is published: the reference itself, but never a path of
 * this machine. Absolute paths keep as many last parts as tell them apart.
 */
export function labelReferences(references: readonly string[]): ReadonlyMap<string, string> {
  const labels = new Map<string, string>();
  const taken = new Set(references.filter((reference) => !isAbsolute(reference)));
  for (const reference of references) {
    if (!isAbsolute(reference)) {
      labels.set(reference, reference);
      continue;
    }
    const path = resolve(reference);
    let label = basename(path);
    let rest = dirname(path);
    while (taken.has(label) && rest !== dirname(rest)) {
      label = join(basename(rest), label);
      rest = dirname(rest);
    }
    taken.add(label);
    labels.set(reference, label);
  }
  return labels;
}
