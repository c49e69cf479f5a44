// Where a task's input bytes are, decided before the engine starts: at the file's own path, or in the
// cache after what was missing has been pulled. The engine only ever sees local files.
import type { NativeFile } from "@graft/native";
import { dtypeInfo, GraftError, type Task, type WeightFile } from "@graft/proto";
import type { PullFile } from "../cache/fill.js";
import { toNativeFile, whyNotHere } from "../cache/local-file.js";
import { mergeRanges, type Range } from "../cache/ranges.js";
import type { Need, ShardCache } from "../cache/shard-cache.js";

export interface TaskInputs {
  /** One per input of the task, in order. */
  readonly files: readonly NativeFile[];
  /** When the engine is done with them. Idempotent. */
  release(): void;
}

export type ResolveInputs = (task: Task, signal: AbortSignal) => Promise<TaskInputs>;

export interface InputsOptions {
  /** undefined when this worker keeps none. */
  readonly cache: () => Promise<ShardCache | undefined>;
  readonly pull: PullFile;
}

/** Files of this machine only: a task's inputs are opened where the task says they are. */
export function localInputs(task: Task): TaskInputs {
  return { files: task.inputs.map(toNativeFile), release: () => undefined };
}

export function createInputs({ cache, pull }: InputsOptions): ResolveInputs {
  return async (task, signal) => {
    const reasons = await Promise.all(task.inputs.map(whyElsewhere));
    const remote = task.inputs.flatMap((file, at) => {
      return reasons[at] === undefined ? [] : [{ at, file, what: reasons[at] }];
    });
    const [first] = remote;
    if (first === undefined) return localInputs(task);
    const opened = await cache();
    if (opened === undefined) {
      const what = `${first.what}, and this worker has no --cache-dir`;
      throw new GraftError("NOT_HERE", { path: first.file.path, what });
    }
    const needs: Need[] = remote.map(({ at, file }) => ({ file, ranges: rangesOf(task, at) }));
    const lease = await opened.lease(needs, { pull, signal });
    const leased = new Map(remote.map(({ at }, index) => [at, lease.files[index]]));
    const files = task.inputs.map((file, at) => leased.get(at) ?? toNativeFile(file));
    return { files, release: lease.release };
  };
}

/** Why a file must come from elsewhere; a file that nobody else has is opened where it should be. */
async function whyElsewhere(file: WeightFile): Promise<string | undefined> {
  return (file.source?.holders ?? []).length === 0 ? undefined : whyNotHere(file);
}

/** The bytes of one input file that the task reads. */
export function rangesOf({ operations }: Task, fileIndex: number): readonly Range[] {
  const ranges = operations.flatMap(({ inputs, elementStart, elementCount }) =>
    inputs
      .filter((input) => input.fileIndex === fileIndex)
      .map(({ offsetBytes, dtype }) => {
        const elementBytes = BigInt(dtypeInfo(dtype).sizeBytes);
        const start = Number(offsetBytes + elementStart * elementBytes);
        return { start, end: start + Number(elementCount * elementBytes) };
      }),
  );
  return mergeRanges(ranges);
}
