import assert from "node:assert/strict";
import { test } from "node:test";
import type { NativeTaskResult } from "@graft/native";
import { Dtype, Kernel, Operation, OperationInput, Pruning, Task, WeightFile } from "@graft/proto";
import { inputDigests, nonFiniteReports, outputDigests, toNativeTask } from "./task.js";

const FILE = WeightFile.fromPartial({
  path: "/m/a.safetensors",
  name: "a.safetensors",
  sizeBytes: 1000n,
  modifiedTimeNs: 5n,
  inode: -1n,
});

const INPUT = OperationInput.fromPartial({
  fileIndex: 0,
  offsetBytes: 100n,
  dtype: Dtype.DTYPE_BF16,
  weight: 0.5,
  density: 1,
  modelIndex: 2,
  model: "org/a",
  tensor: "w",
});

const LINEAR = Operation.fromPartial({
  kernel: Kernel.KERNEL_LINEAR,
  outputDtype: Dtype.DTYPE_F32,
  tensorElementCount: 40n,
  elementStart: 10n,
  elementCount: 30n,
  inputs: [INPUT],
  destinations: [
    { fileIndex: 0, offsetBytes: 8n, tensor: "x" },
    { fileIndex: 0, offsetBytes: 900n, tensor: "y" },
  ],
});

const taskOf = (operation: Operation): Task =>
  Task.fromPartial({
    taskId: "t",
    inputs: [FILE],
    outputs: ["out.safetensors"],
    operations: [operation],
  });

test("a task becomes absolute paths, and plain numbers", () => {
  const native = toNativeTask(taskOf(LINEAR), "/out");
  assert.deepEqual(native.inputs, [
    { path: "/m/a.safetensors", sizeBytes: 1000n, modifiedTimeNs: 5n, inode: -1n },
  ]);
  assert.deepEqual(native.outputs, ["/out/out.safetensors"]);
  const [operation] = native.operations;
  assert.equal(operation?.kernel, 2);
  assert.equal(operation?.elementStart, 10n);
  assert.deepEqual(operation?.destinations, [
    { file: 0, offsetBytes: 8n },
    { file: 0, offsetBytes: 900n },
  ]);
  assert.equal(operation?.inputs[0]?.weight, 0.5);
});

test("parameters reach the engine and are zero for the kernels that have none", () => {
  const value = {
    pruning: Pruning.PRUNING_BERNOULLI,
    electSign: true,
    normalize: true,
    rescale: false,
    lambda: 0.7,
    seed: 9n,
    streamName: "w",
  };
  const vector = {
    ...LINEAR,
    kernel: Kernel.KERNEL_TASK_VECTOR,
    parameters: { $case: "taskVector" as const, value },
  };
  const [operation] = toNativeTask(taskOf(vector), "/o").operations;
  assert.equal(operation?.pruning, 3);
  assert.equal(operation?.electSign, true);
  assert.equal(operation?.lambda, 0.7);
  assert.equal(operation?.streamName, "w");
  const [plain] = toNativeTask(taskOf(LINEAR), "/o").operations;
  assert.deepEqual([plain?.t, plain?.pruning, plain?.lambda, plain?.seed], [0, 0, 0, 0n]);
});

const refused: readonly [string, Partial<Operation>, RegExp][] = [
  ["no kernel", { kernel: Kernel.KERNEL_UNSPECIFIED }, /unknown kernel 0/],
  ["elements beyond the tensor", { elementCount: 31n }, /10\+31 are not inside the tensor's 40/],
  ["elements before the tensor", { elementStart: -1n }, /not inside/],
  ["an unknown input file", { inputs: [{ ...INPUT, fileIndex: 1 }] }, /an input names a file/],
  ["a negative input offset", { inputs: [{ ...INPUT, offsetBytes: -1n }] }, /input offset below 0/],
  ["no destination", { destinations: [] }, /no destination/],
  [
    "an unknown output file",
    { destinations: [{ fileIndex: -1, offsetBytes: 0n, tensor: "x" }] },
    /a destination names a file/,
  ],
  ["a copy of two", { kernel: Kernel.KERNEL_COPY, inputs: [INPUT, INPUT] }, /takes 1 input, got 2/],
  ["a slerp without t", { kernel: Kernel.KERNEL_SLERP }, /without its parameters/],
  ["task vectors without parameters", { kernel: Kernel.KERNEL_TASK_VECTOR }, /without their/],
];

for (const [name, change, want] of refused) {
  test(`an operation with ${name} is refused`, () => {
    const task = taskOf({ ...LINEAR, ...change });
    assert.throws(() => toNativeTask(task, "/o"), want);
  });
}

test("an output that is not a plain name is refused", () => {
  const task = { ...taskOf(LINEAR), outputs: ["../x"] };
  assert.throws(() => toNativeTask(task, "/o"), /expected a plain file name/);
});

test("digests are given per destination and per input, in bytes of the tensor", () => {
  const result: NativeTaskResult = {
    outputDigests: ["aa"],
    inputDigests: [["bb"]],
    nonFinite: [
      { operation: 0, input: 0, count: 3n, firstIndex: 12n },
      { operation: 0, input: -1, count: 2n, firstIndex: 11n },
      { operation: 7, input: 0, count: 1n, firstIndex: 0n },
    ],
    cpuSeconds: 0,
  };
  const task = taskOf(LINEAR);
  const span = { offsetBytes: 40n, lengthBytes: 120n, digest: "aa" };
  assert.deepEqual(outputDigests(task, result), [
    { tensor: "x", ...span },
    { tensor: "y", ...span },
  ]);
  assert.deepEqual(inputDigests(task, result), [
    {
      fileIndex: 0,
      span: { tensor: "2/a.safetensors/w", offsetBytes: 20n, lengthBytes: 60n, digest: "bb" },
    },
  ]);
  assert.deepEqual(nonFiniteReports(task, result), [
    { model: "org/a", tensor: "w", count: 3n, firstIndex: 12n },
    { model: "", tensor: "x", count: 2n, firstIndex: 11n },
  ]);
});
