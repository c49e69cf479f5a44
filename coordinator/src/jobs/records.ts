// What the journal of a job says. Digests and pins are kept as compact rows, because a large model
// has a hundred thousand tensors.
import type { NonFiniteReport, SpanDigest } from "@graft/proto";

/** Version of the records below; a journal of another version is refused. */
export const JOURNAL_FORMAT = 1;

/** [tensor, offset in the tensor, length, digest] */
export type SpanRow = readonly [string, number, number, string];
/** [input file, absolute offset, length, digest] */
export type InputRow = readonly [string, number, number, string];
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
      readonly outputs: readonly SpanRow[];
      readonly inputs: readonly InputRow[];
      readonly nonFinite: readonly NonFiniteRow[];
    }
  /** These results no longer count: their bytes were lost or did not verify. */
  | { readonly kind: "task-void"; readonly taskIds: readonly string[]; readonly reason: string }
  /** The file was read back from storage and every span had its digest. */
  | { readonly kind: "file-verified"; readonly name: string; readonly sha256: string }
  | { readonly kind: "published" };

export type BeginRecord = Extract<JournalRecord, { kind: "begin" }>;
export type TaskDoneRecord = Extract<JournalRecord, { kind: "task-done" }>;

export function spanRow(span: SpanDigest): SpanRow {
  return [span.tensor, Number(span.offsetBytes), Number(span.lengthBytes), span.digest];
}

export function spanOf([tensor, offset, length, digest]: SpanRow): SpanDigest {
  return { tensor, offsetBytes: BigInt(offset), lengthBytes: BigInt(length), digest };
}

export function nonFiniteRow(report: NonFiniteReport): NonFiniteRow {
  return [report.model, report.tensor, Number(report.count), Number(report.firstIndex)];
}
