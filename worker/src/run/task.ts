// Between the wire's task and the engine's: names become absolute paths, enums become numbers, and the
// engine's answers per operation become digests per tensor. What does not fit together is refused here.
import type { NativeInput, NativeOperation, NativeTask, NativeTaskResult } from "@graft/native";
import {
  type Dtype,
  dtypeInfo,
  GraftError,
  type InputDigest,
  Kernel,
  type NonFiniteReport,
  type Operation,
  type OperationInput,
  type SpanDigest,
  type Task,
} from "@graft/proto";
import { toNativeFile } from "../cache/local-file.js";
import { joinPlain } from "../output/files.js";

/** FLAG when the task is not one that a planner makes. */
export function toNativeTask(task: Task, outputDirectory: string): NativeTask {
  for (const [at, operation] of task.operations.entries()) {
    const problem = findProblem(operation, task);
    if (problem !== undefined) {
      throw new GraftError("FLAG", { flag: `task ${task.taskId}: operations[${at}]`, problem });
    }
  }
  return {
    inputs: task.inputs.map(toNativeFile),
    outputs: task.outputs.map((name) => joinPlain(outputDirectory, name)),
    operations: task.operations.map(toNativeOperation),
  };
}

function toNativeOperation(operation: Operation): NativeOperation {
  const { parameters } = operation;
  const slerp = parameters?.$case === "slerp" ? parameters.value : undefined;
  const vector = parameters?.$case === "taskVector" ? parameters.value : undefined;
  return {
    kernel: operation.kernel,
    outputDtype: operation.outputDtype,
    tensorElementCount: operation.tensorElementCount,
    elementStart: operation.elementStart,
    elementCount: operation.elementCount,
    inputs: operation.inputs.map(toNativeInput),
    destinations: operation.destinations.map(({ fileIndex, offsetBytes }) => ({
      file: fileIndex,
      offsetBytes,
    })),
    t: slerp?.t ?? 0,
    pruning: vector?.pruning ?? 0,
    electSign: vector?.electSign ?? false,
    normalize: vector?.normalize ?? false,
    rescale: vector?.rescale ?? false,
    lambda: vector?.lambda ?? 0,
    seed: vector?.seed ?? 0n,
    streamName: vector?.streamName ?? "",
  };
}

function toNativeInput(input: OperationInput): NativeInput {
  const { fileIndex, offsetBytes, dtype, weight, density, modelIndex, model, tensor } = input;
  return { file: fileIndex, offsetBytes, dtype, weight, density, modelIndex, model, tensor };
}

function findProblem(operation: Operation, task: Task): string | undefined {
  const { kernel, inputs, destinations, parameters, elementStart, elementCount } = operation;
  const total = operation.tensorElementCount;
  const inside = (count: number, index: number): boolean => index >= 0 && index < count;
  if (elementStart < 0n || elementCount < 0n || elementStart + elementCount > total) {
    return `elements ${elementStart}+${elementCount} are not inside the tensor's ${total}`;
  }
  if (!inputs.every(({ fileIndex }) => inside(task.inputs.length, fileIndex))) {
    return `an input names a file that the task does not have (${task.inputs.length})`;
  }
  if (!destinations.every(({ fileIndex }) => inside(task.outputs.length, fileIndex))) {
    return `a destination names a file that the task does not have (${task.outputs.length})`;
  }
  if (destinations.length === 0) return "no destination";
  if (inputs.some(({ offsetBytes }) => offsetBytes < 0n)) return "an input offset below 0";
  if (destinations.some(({ offsetBytes }) => offsetBytes < 0n)) return "an output offset below 0";
  switch (kernel) {
    case Kernel.KERNEL_COPY:
      return inputs.length === 1 ? undefined : `copy takes 1 input, got ${inputs.length}`;
    case Kernel.KERNEL_LINEAR:
      return inputs.length > 0 ? undefined : "linear takes at least 1 input, got 0";
    case Kernel.KERNEL_SLERP:
      if (parameters?.$case !== "slerp") return "slerp without its parameters";
      return inputs.length === 2 ? undefined : `slerp takes 2 inputs, got ${inputs.length}`;
    case Kernel.KERNEL_TASK_VECTOR:
      if (parameters?.$case !== "taskVector") return "task vectors without their parameters";
      return inputs.length > 0 ? undefined : "task vectors take at least a base, got 0 inputs";
    default:
      return `unknown kernel ${kernel}`;
  }
}

/** One per operation and destination, in the task's order. */
export function outputDigests(task: Task, result: NativeTaskResult): SpanDigest[] {
  return task.operations.flatMap((operation, at) => {
    const span = spanOf(operation, operation.outputDtype);
    const digest = result.outputDigests[at] ?? "";
    return operation.destinations.map(({ tensor }) => ({ tensor, ...span, digest }));
  });
}

/** One per operation and input, in the task's order. */
export function inputDigests(task: Task, result: NativeTaskResult): InputDigest[] {
  return task.operations.flatMap((operation, at) =>
    operation.inputs.map((input, inputAt) => {
      const { fileIndex, modelIndex, dtype } = input;
      const file = task.inputs[fileIndex]?.name ?? "";
      const tensor = `${modelIndex}/${file}/${input.tensor}`;
      const digest = result.inputDigests[at]?.[inputAt] ?? "";
      return { fileIndex, span: { tensor, ...spanOf(operation, dtype), digest } };
    }),
  );
}

export function nonFiniteReports(task: Task, result: NativeTaskResult): NonFiniteReport[] {
  return result.nonFinite.flatMap(({ operation, input, count, firstIndex }) => {
    const { inputs, destinations } = task.operations[operation] ?? { inputs: [], destinations: [] };
    const tensor = input < 0 ? destinations[0]?.tensor : inputs[input]?.tensor;
    if (tensor === undefined) return [];
    return [{ model: inputs[input]?.model ?? "", tensor, count, firstIndex }];
  });
}

function spanOf(
  { elementStart, elementCount }: Operation,
  dtype: Dtype,
): { readonly offsetBytes: bigint; readonly lengthBytes: bigint } {
  const elementBytes = BigInt(dtypeInfo(dtype).sizeBytes);
  return { offsetBytes: elementStart * elementBytes, lengthBytes: elementCount * elementBytes };
}
