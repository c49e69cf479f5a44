// Which bytes a task reads and writes, in the fixed order of its operations. Results carry digests in
// the same order, so a result is checked against its task and never trusted about what it covers.
import {
  type Dtype,
  dtypeInfo,
  GraftError,
  type Operation,
  type SpanDigest,
  type Task,
  type TaskDone,
} from "@graft/proto";
import { nonFiniteRow, type TaskDoneRecord } from "./records.js";

export interface OutputSpan {
  /** Name of the output file. */
  readonly file: string;
  readonly tensor: string;
  /** Relative to the tensor's first byte. */
  readonly offset: number;
  readonly length: number;
  /** Absolute offset of the span in the file. */
  readonly fileOffset: number;
}

export interface InputSpan extends OutputSpan {
  /** Model label. */
  readonly model: string;
  readonly path: string;
}

/** One per operation and destination. */
export function outputSpans(task: Task): readonly OutputSpan[] {
  return task.operations.flatMap((operation) => {
    const { offset, length } = extentOf(operation, operation.outputDtype);
    return operation.destinations.map(({ fileIndex, offsetBytes, tensor }) => {
      const file = task.outputs[fileIndex] ?? "";
      return { file, tensor, offset, length, fileOffset: Number(offsetBytes) + offset };
    });
  });
}

/** One per operation and input. */
export function inputSpans(task: Task): readonly InputSpan[] {
  return task.operations.flatMap((operation) =>
    operation.inputs.map(({ fileIndex, offsetBytes, dtype, model, tensor }) => {
      const { offset, length } = extentOf(operation, dtype);
      const { name: file = "", path = "" } = task.inputs[fileIndex] ?? {};
      const fileOffset = Number(offsetBytes) + offset;
      return { model, file, path, tensor, offset, length, fileOffset };
    }),
  );
}

function extentOf(
  { elementStart, elementCount }: Operation,
  dtype: Dtype,
): { readonly offset: number; readonly length: number } {
  const { sizeBytes } = dtypeInfo(dtype);
  return { offset: Number(elementStart) * sizeBytes, length: Number(elementCount) * sizeBytes };
}

const DIGEST = /^[0-9a-f]{32}$/;

/** The result as the journal keeps it. COMPUTE when it is not a result of this task. */
export function toRecord(task: Task, done: TaskDone): TaskDoneRecord {
  const inputs = done.inputs.flatMap(({ span }) => (span === undefined ? [] : [span]));
  const inputOffsets = inputSpans(task);
  requireSpans(task, outputSpans(task), done.outputs, (span) => span.tensor);
  // The span's tensor names file and model position too; its end is the tensor's name.
  requireSpans(task, inputOffsets, inputs, () => null);
  return {
    kind: "task-done",
    taskId: task.taskId,
    epoch: Number(done.epoch),
    outputs: done.outputs.map(({ digest }) => digest),
    inputs: inputs.map(({ digest }) => digest),
    nonFinite: done.nonFinite.map(nonFiniteRow),
  };
}

function requireSpans(
  task: Task,
  expected: readonly OutputSpan[],
  given: readonly SpanDigest[],
  nameOf: (span: OutputSpan) => string | null,
): void {
  const isGood = expected.every((span, index) => {
    const result = given[index];
    if (result === undefined || !DIGEST.test(result.digest)) return false;
    const name = nameOf(span);
    return (
      (name === null || name === result.tensor) &&
      result.offsetBytes === BigInt(span.offset) &&
      result.lengthBytes === BigInt(span.length)
    );
  });
  if (isGood && expected.length === given.length) return;
  const problem = "the worker's digests do not cover the task's bytes";
  throw new GraftError("COMPUTE", { tensor: nameTask(task), problem });
}

const NAMED_MAX = 3;

/** The tensors of a task, for messages: `"a", "b", "c" and 12 more`. */
export function nameTask(task: Task): string {
  const names = [...new Set(outputSpans(task).map(({ tensor }) => tensor))];
  const shown = names.slice(0, NAMED_MAX).map((name) => JSON.stringify(name));
  const rest = names.length - shown.length;
  return `${shown.join(", ")}${rest > 0 ? ` and ${rest} more` : ""}`;
}
