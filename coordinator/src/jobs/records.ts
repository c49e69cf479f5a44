// What the journal of a job says. Results are kept as bare digests, because a large model has a
// hundred thousand tensors.
import type { NonFiniteReport } from "@graft/proto";

/** Version of the records below; a journal of another version is refused. */
export const JOURNAL_FORMAT = 1;

/** [model, tensor, count, first index] */
export type NonFiniteRow = readonly [string, string, number, number];

/** An input file as it was when the job began. Times are strings: they exceed 2^53. */
export interface InputPin {
  /** Model label and file name: never a path. */
  readonly file: string;
  readonly sizeBytes: number;
  readonly headerDigest: string;
  readonly modifiedTimeNs: string;
}

/** What `coordinator resume DIR` needs to plan the same merge again. */
export interface JobRequest {
  readonly recipePath: string;
  readonly recipeText: string;
  /** Where relative references are looked for after the recipe's own directory. */
  readonly workingDirectory: string;
  readonly models: Readonly<Record<string, string>>;
  readonly seed: string;
  readonly maxShardSizeBytes: number;
  readonly lenient: boolean;
  readonly sha256: boolean;
  readonly paranoid: boolean;
  readonly force: boolean;
}

export type JournalRecord =
  | {
      readonly kind: "begin";
      readonly format: number;
      readonly planDigest: string;
      readonly kernelVersion: string;
      readonly request: JobRequest;
      readonly inputs: readonly InputPin[];
    }
  | {
      readonly kind: "task-done";
      readonly taskId: string;
      readonly epoch: number;
      /** Digests only: the task says which bytes, in the order of outputSpans and inputSpans. */
      readonly outputs: readonly string[];
      readonly inputs: readonly string[];
      readonly nonFinite: readonly NonFiniteRow[];
    }
  /** These results no longer count: their bytes were lost or did not verify. */
  | { readonly kind: "task-void"; readonly taskIds: readonly string[]; readonly reason: string }
  /** The file was read back from storage and every span had its digest. */
  | { readonly kind: "file-verified"; readonly name: string; readonly sha256: string }
  | { readonly kind: "published" };

export type BeginRecord = Extract<JournalRecord, { kind: "begin" }>;
export type TaskDoneRecord = Extract<JournalRecord, { kind: "task-done" }>;

export function nonFiniteRow(report: NonFiniteReport): NonFiniteRow {
  return [report.model, report.tensor, Number(report.count), Number(report.firstIndex)];
}
