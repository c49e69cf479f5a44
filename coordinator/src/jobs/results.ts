// The results that count, and what they prove together: two runs of one task gave the same bytes, and
// two tasks that read the same bytes saw the same ones.
import { GraftError, type Task } from "@graft/proto";
import type { TaskDoneRecord } from "./records.js";
import { type InputSpan, inputSpans, outputSpans } from "./task-spans.js";

export interface Results {
  get(taskId: string): TaskDoneRecord | undefined;
  /** INPUT_CHANGED when another task read the same bytes differently; then nothing is kept. */
  add(task: Task, record: TaskDoneRecord): void;
  remove(taskId: string): void;
  readonly size: number;
}

export function createResults(): Results {
  const records = new Map<string, TaskDoneRecord>();
  const digestOfInput = new Map<string, string>();
  return {
    get: (taskId) => records.get(taskId),
    add(task, record) {
      const spans = inputSpans(task);
      for (const [index, span] of spans.entries()) {
        const digest = record.inputs[index] ?? "";
        const earlier = digestOfInput.get(keyOf(span));
        if (earlier !== undefined && earlier !== digest) {
          const what = `tensor "${span.tensor}" was read twice with different bytes`;
          throw new GraftError("INPUT_CHANGED", { path: span.path, what });
        }
      }
      for (const [index, span] of spans.entries()) {
        digestOfInput.set(keyOf(span), record.inputs[index] ?? "");
      }
      records.set(task.taskId, record);
    },
    remove(taskId) {
      records.delete(taskId);
    },
    get size() {
      return records.size;
    },
  };
}

function keyOf({ path, fileOffset, length }: InputSpan): string {
  return `${fileOffset}+${length}@${path}`;
}

/** TASK_DISAGREES when two results of one task are not the same bytes. */
export function compareResults(task: Task, first: TaskDoneRecord, second: TaskDoneRecord): void {
  for (const [index, span] of outputSpans(task).entries()) {
    if (first.outputs[index] === second.outputs[index]) continue;
    throw new GraftError("TASK_DISAGREES", {
      task: task.taskId,
      tensor: JSON.stringify(span.tensor),
    });
  }
}
