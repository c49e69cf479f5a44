import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Dtype, GraftError, Kernel, Task, type TaskDone } from "@graft/proto";
import { compareResults, createResults } from "./results.js";
import { inputSpans, nameTask, outputSpans, toRecord } from "./task-spans.js";

/** Elements 4..8 of a BF16 tensor, copied to two places. */
const task: Task = Task.fromPartial({
  taskId: "t",
  inputs: [{ path: "/m/in.safetensors", name: "in.safetensors" }],
  outputs: ["out-1.safetensors", "out-2.safetensors"],
  operations: [
    {
      kernel: Kernel.KERNEL_COPY,
      outputDtype: Dtype.DTYPE_F32,
      tensorElementCount: 8n,
      elementStart: 4n,
      elementCount: 4n,
      inputs: [{ offsetBytes: 100n, dtype: Dtype.DTYPE_BF16, tensor: "x", model: "base" }],
      destinations: [
        { fileIndex: 0, offsetBytes: 200n, tensor: "a" },
        { fileIndex: 1, offsetBytes: 300n, tensor: "b" },
      ],
    },
  ],
});

const DIGESTS = ["a", "b", "c"].map((letter) => letter.repeat(32)) as [string, string, string];

const done = (change: Partial<TaskDone> = {}): TaskDone => ({
  taskId: "t",
  epoch: 3n,
  outputs: ["a", "b"].map((tensor) => ({
    tensor,
    offsetBytes: 16n,
    lengthBytes: 16n,
    digest: DIGESTS[0],
  })),
  inputs: [
    {
      fileIndex: 0,
      span: { tensor: "0/in.safetensors/x", offsetBytes: 8n, lengthBytes: 8n, digest: DIGESTS[1] },
    },
  ],
  nonFinite: [{ model: "base", tensor: "x", count: 2n, firstIndex: 5n }],
  ...change,
});

describe("task results", () => {
  it("cover the task's bytes, counted in each side's own dtype", () => {
    const span = { offset: 16, length: 16 };
    assert.deepEqual(outputSpans(task), [
      { file: "out-1.safetensors", tensor: "a", ...span, fileOffset: 216 },
      { file: "out-2.safetensors", tensor: "b", ...span, fileOffset: 316 },
    ]);
    assert.deepEqual(inputSpans(task), [
      {
        ...{ model: "base", file: "in.safetensors", path: "/m/in.safetensors", tensor: "x" },
        ...{ offset: 8, length: 8, fileOffset: 108 },
      },
    ]);
  });

  it("are kept as digests in the task's order", () => {
    assert.deepEqual(toRecord(task, done()), {
      kind: "task-done",
      taskId: "t",
      epoch: 3,
      outputs: [DIGESTS[0], DIGESTS[0]],
      inputs: [DIGESTS[1]],
      nonFinite: [["base", "x", 2, 5]],
    });
  });

  const [output] = done().outputs;
  assert.ok(output);
  const wrong: readonly (readonly [string, Partial<TaskDone>])[] = [
    ["too few outputs", { outputs: [output] }],
    ["another tensor", { outputs: [output, output] }],
    ["another length", { outputs: [output, { ...output, tensor: "b", lengthBytes: 15n }] }],
    ["no digest", { outputs: [output, { ...output, tensor: "b", digest: "" }] }],
    ["no inputs", { inputs: [] }],
  ];
  for (const [name, change] of wrong) {
    it(`are refused with ${name}`, () => {
      assert.throws(
        () => toRecord(task, done(change)),
        (error) => error instanceof GraftError && error.code === "COMPUTE",
      );
    });
  }

  it("of two runs must be the same bytes", () => {
    const first = toRecord(task, done());
    compareResults(task, first, { ...first, epoch: 9 });
    assert.throws(
      () => compareResults(task, first, { ...first, outputs: [DIGESTS[0], DIGESTS[2]] }),
      (error) => error instanceof GraftError && error.code === "TASK_DISAGREES",
    );
  });

  it("of two tasks must have read the same bytes", () => {
    const results = createResults();
    const record = toRecord(task, done());
    results.add(task, record);
    const other = { ...task, taskId: "u" };
    results.add(other, { ...record, taskId: "u" });
    assert.throws(
      () => results.add(other, { ...record, inputs: [DIGESTS[2]] }),
      (error) => error instanceof GraftError && error.code === "INPUT_CHANGED",
    );
    assert.equal(results.size, 2);
  });

  it("are named by their tensors, a few of them", () => {
    assert.equal(nameTask(task), '"a", "b"');
  });
});
