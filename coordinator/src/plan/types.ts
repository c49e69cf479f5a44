// What planning takes and gives. A plan is data: same recipe, models and options give the same plan,
// byte for byte (planDigest). Nothing here knows of workers, time, or how many threads there are.
import type { Dtype, Task } from "@graft/proto";

/** A tensor as a worker reported it. */
export interface TensorInfo {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** Index into DescribedModel.files. */
  readonly file: number;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

export interface PinnedFile {
  /** Absolute path on the worker; never enters a digest. */
  readonly path: string;
  readonly name: string;
  readonly sizeBytes: number;
  readonly headerDigest: string;
  readonly modifiedTimeNs: bigint;
  readonly inode: bigint;
}

export interface DescribedModel {
  /** As the recipe writes it. */
  readonly reference: string;
  /** For the manifest, card and messages: the reference, or its base name when it is absolute. */
  readonly label: string;
  readonly directory: string;
  /** Text of config.json; null when there is none. */
  readonly configText: string | null;
  readonly sideFiles: readonly { readonly name: string; readonly sizeBytes: number }[];
  readonly files: readonly PinnedFile[];
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly notes: readonly string[];
}

export interface PlanOptions {
  readonly seed: bigint;
  readonly maxShardSizeBytes: number;
  readonly lenient: boolean;
  readonly kernelVersion: string;
}

/** What happened to one input tensor. */
export interface LedgerEntry {
  /** DescribedModel.label. */
  readonly model: string;
  readonly tensor: string;
  readonly fate: "merged" | "copied" | "aliased" | "ignored";
  /** Output tensors it went into; empty when ignored. */
  readonly outputs: readonly string[];
  /** Why, when the fate is not plain: "not in any slice", "only model that has it", … */
  readonly reason: string | null;
}

export interface OutputTensor {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** Absolute offset in the file (header included). */
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

export interface OutputFile {
  readonly name: string;
  readonly sizeBytes: number;
  /** The 8-byte length and the padded JSON header. */
  readonly header: Uint8Array;
  /** In file order. */
  readonly tensors: readonly OutputTensor[];
}

export interface PlanTotals {
  readonly readBytes: number;
  readonly writeBytes: number;
  readonly outputBytes: number;
  readonly tensorCount: number;
  readonly parameterCount: number;
}

export interface Plan {
  readonly digest: string;
  readonly tasks: readonly Task[];
  readonly files: readonly OutputFile[];
  readonly ledger: readonly LedgerEntry[];
  readonly totals: PlanTotals;
  /** Finished text of config.json; null when the donor has none. */
  readonly configText: string | null;
  /** model.safetensors.index.json; null for a single file. */
  readonly indexText: string | null;
  readonly donor: DescribedModel;
  /** Names of the donor's files to copy byte for byte. */
  readonly sideFiles: readonly string[];
  /** Lines for the user: partial inputs, files not copied, casts. */
  readonly notes: readonly string[];
}
