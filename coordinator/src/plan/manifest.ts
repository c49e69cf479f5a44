// graft-manifest.json: what the output is made of, tensor by tensor, with the digests that "verify"
// re-checks. Deterministic: no time, host or path, so two runs of one recipe give the same text.
import { dtypeInfo, type NonFiniteReport } from "@graft/proto";
import type { MethodName, Recipe } from "../recipe/recipe.js";
import { compareText, sha256Hex } from "./canonical.js";
import type { DescribedModel, LedgerEntry, Plan } from "./types.js";

export const MANIFEST_FORMAT_VERSION = 1;
export const MANIFEST_NAME = "graft-manifest.json";

/** XXH3-128 digest of a run of bytes of one tensor, relative to the tensor's start. */
export interface ManifestSpan {
  readonly offset: number;
  readonly length: number;
  readonly digest: string;
}

export interface ManifestTensor {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Absolute offset of the tensor's first byte in the file. */
  readonly offset: number;
  readonly length: number;
  readonly spans: readonly ManifestSpan[];
}

export interface ManifestFile {
  readonly name: string;
  readonly size: number;
  readonly sha256: string | null;
  readonly tensors: readonly ManifestTensor[];
}

export interface ManifestInputFile {
  readonly name: string;
  readonly size: number;
  readonly headerDigest: string;
}

/** Bytes of one input tensor as they were read. */
export interface ManifestInputDigest extends ManifestSpan {
  readonly model: string;
  readonly file: string;
  readonly tensor: string;
}

export interface ManifestSideFile {
  readonly name: string;
  readonly size: number;
  readonly sha256: string;
}

export interface ManifestNonFinite {
  readonly model: string;
  readonly tensor: string;
  readonly count: number;
  readonly firstIndex: number;
}

export interface Manifest {
  readonly formatVersion: number;
  readonly recipeSha256: string;
  readonly planDigest: string;
  readonly kernelVersion: string;
  readonly seed: string;
  readonly method: MethodName;
  readonly inputs: readonly {
    readonly model: string;
    readonly files: readonly ManifestInputFile[];
  }[];
  readonly files: readonly ManifestFile[];
  readonly sideFiles: readonly ManifestSideFile[];
  readonly inputDigests: readonly ManifestInputDigest[];
  readonly nonFinite: readonly ManifestNonFinite[];
  readonly ledger: readonly LedgerEntry[];
}

export interface ManifestInput {
  readonly plan: Plan;
  readonly recipe: Recipe;
  /** In recipe order. */
  readonly models: readonly DescribedModel[];
  readonly kernelVersion: string;
  readonly seed: bigint;
  /** By output file name; null when no sha256 was taken. */
  readonly fileSha256: ReadonlyMap<string, string | null>;
  /** By output tensor name, in any order. */
  readonly outputSpans: ReadonlyMap<string, readonly ManifestSpan[]>;
  readonly inputDigests: readonly ManifestInputDigest[];
  readonly sideFiles: readonly ManifestSideFile[];
  readonly nonFinite: readonly NonFiniteReport[];
}

/** Text of graft-manifest.json. */
export function buildManifest(input: ManifestInput): string {
  const { plan, recipe, models } = input;
  const manifest: Manifest = {
    formatVersion: MANIFEST_FORMAT_VERSION,
    recipeSha256: sha256Hex(recipe.text),
    planDigest: plan.digest,
    kernelVersion: input.kernelVersion,
    seed: String(input.seed),
    method: recipe.method,
    inputs: models.map(({ label, files }) => ({
      model: label,
      files: files.map(({ name, sizeBytes, headerDigest }) => {
        return { name, size: sizeBytes, headerDigest };
      }),
    })),
    files: plan.files.map(({ name, sizeBytes, tensors }) => ({
      name,
      size: sizeBytes,
      sha256: input.fileSha256.get(name) ?? null,
      tensors: tensors.map((tensor) => ({
        name: tensor.name,
        dtype: dtypeInfo(tensor.dtype).name,
        shape: tensor.shape,
        offset: tensor.offsetBytes,
        length: tensor.lengthBytes,
        spans: [...(input.outputSpans.get(tensor.name) ?? [])].map(plainSpan).sort(byOffset),
      })),
    })),
    sideFiles: [...input.sideFiles].sort((a, b) => compareText(a.name, b.name)),
    inputDigests: distinctInputs(input.inputDigests),
    nonFinite: [...input.nonFinite].map(plainReport).sort(byModelAndTensor),
    ledger: plan.ledger,
  };
  return renderManifest(manifest);
}

function plainSpan({ offset, length, digest }: ManifestSpan): ManifestSpan {
  return { offset, length, digest };
}

function byOffset(a: ManifestSpan, b: ManifestSpan): number {
  return a.offset - b.offset;
}

/** A tensor that several operations read is listed once per run of bytes. */
function distinctInputs(digests: readonly ManifestInputDigest[]): ManifestInputDigest[] {
  const distinct = new Map(
    digests.map(({ model, file, tensor, offset, length, digest }) => {
      const key = JSON.stringify([model, file, tensor, offset, length, digest]);
      return [key, { model, file, tensor, offset, length, digest }] as const;
    }),
  );
  return [...distinct.values()].sort((a, b) => byModelAndTensor(a, b) || byOffset(a, b));
}

function plainReport({ model, tensor, count, firstIndex }: NonFiniteReport): ManifestNonFinite {
  return { model, tensor, count: Number(count), firstIndex: Number(firstIndex) };
}

function byModelAndTensor(
  a: { readonly model: string; readonly tensor: string },
  b: { readonly model: string; readonly tensor: string },
): number {
  return compareText(a.model, b.model) || compareText(a.tensor, b.tensor);
}

/** One line per list entry: readable, greppable, and half the size of full indentation. */
function renderManifest(manifest: Manifest): string {
  const members = Object.entries(manifest).map(([key, value]: [string, unknown]) => {
    const text = Array.isArray(value) ? renderList(value) : JSON.stringify(value);
    return `  ${JSON.stringify(key)}: ${text}`;
  });
  return `{\n${members.join(",\n")}\n}\n`;
}

function renderList(values: readonly unknown[]): string {
  if (values.length === 0) return "[]";
  return `[\n${values.map((value) => `    ${JSON.stringify(value)}`).join(",\n")}\n  ]`;
}
