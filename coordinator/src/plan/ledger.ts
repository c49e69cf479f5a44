// The ledger: what became of every input tensor. Nothing is left out; what no operation claimed is
// listed as ignored, with a reason.
import type { IndexedTensor, ModelIndex } from "./model-index.js";
import type { LedgerEntry } from "./types.js";

export type UsedFate = Exclude<LedgerEntry["fate"], "ignored">;

interface TensorRecord {
  fate: LedgerEntry["fate"];
  readonly outputs: string[];
  reason: string | null;
}

/** A tensor used in several ways is told by the least plain of them. */
const WEIGHT = { ignored: 0, copied: 1, merged: 2, aliased: 3 } as const;

export class LedgerBuilder {
  readonly #records = new Map<ModelIndex, Map<string, TensorRecord>>();

  use(
    index: ModelIndex,
    tensor: string,
    fate: UsedFate,
    output: string,
    reason: string | null,
  ): void {
    const record = this.#record(index, tensor);
    if (record.outputs.at(-1) !== output) record.outputs.push(output);
    if (WEIGHT[fate] < WEIGHT[record.fate]) return;
    if (WEIGHT[fate] > WEIGHT[record.fate]) record.reason = reason;
    record.fate = fate;
  }

  /** Says why a tensor was left out here; it may still be used elsewhere. */
  leaveOut(index: ModelIndex, tensor: string, reason: string): void {
    const record = this.#record(index, tensor);
    if (record.fate === "ignored") record.reason ??= reason;
  }

  #record(index: ModelIndex, tensor: string): TensorRecord {
    let records = this.#records.get(index);
    if (records === undefined) {
      records = new Map();
      this.#records.set(index, records);
    }
    let record = records.get(tensor);
    if (record === undefined) {
      record = { fate: "ignored", outputs: [], reason: null };
      records.set(tensor, record);
    }
    return record;
  }

  /** One entry per input tensor: models in recipe order, tensors in file order. */
  entries(
    models: readonly ModelIndex[],
    unusedReason: (index: ModelIndex, tensor: IndexedTensor) => string,
  ): LedgerEntry[] {
    return models.flatMap((index) => {
      const records = this.#records.get(index);
      return index.tensors.map((tensor): LedgerEntry => {
        const record = records?.get(tensor.info.name);
        const fate = record?.fate ?? "ignored";
        return {
          model: index.model.label,
          tensor: tensor.info.name,
          fate,
          outputs: record?.outputs ?? [],
          reason: record?.reason ?? (fate === "ignored" ? unusedReason(index, tensor) : null),
        };
      });
    });
  }
}
