import assert from "node:assert/strict";
import { test } from "node:test";
import { inventModel, planOf } from "./invented-models.js";
import { SPLIT_ELEMENTS, TASK_BYTES_MAX } from "./tasks.js";

const MI = 1024 * 1024;
const model = (reference: string, sizes: readonly number[]) =>
  inventModel({
    reference,
    config: null,
    tensors: sizes.map((size, number) => ({ name: `t${number}`, shape: [size] })),
  });

test("tasks hold about the target size of reads and writes, in output order", () => {
  const sizes = Array.from({ length: 960 }, () => 5 * MI);
  const plan = planOf("merge_method: passthrough\nmodels: [{model: m}]", [model("m", sizes)]);
  assert.equal(plan.tasks.length, 80);
  for (const task of plan.tasks) {
    assert.ok(task.readBytes + task.writeBytes <= BigInt(TASK_BYTES_MAX));
    assert.equal(task.inputs.length, 1);
  }
  assert.equal(plan.totals.readBytes, 960 * 5 * MI * 2);
});

test("a small merge is cut into more tasks than a handful of workers", () => {
  const sizes = Array.from({ length: 40 }, () => 5 * MI);
  const recipe = "merge_method: passthrough\nmodels: [{model: m}]";
  assert.equal(planOf(recipe, [model("m", sizes)]).tasks.length, 40);
  const tiny = planOf(recipe, [model("m", [1000, 1000, 1000])]);
  assert.equal(tiny.tasks.length, 1);
});

test("a huge linear tensor is split at whole chunks; slerp and task vectors never are", () => {
  const count = 100 * MI + 3;
  const models = [model("m", [count]), model("n", [count])];
  const list = "models: [{model: m}, {model: n}]";
  const linear = planOf(`merge_method: linear\nparameters: {weight: 1}\n${list}`, models);
  const operations = linear.tasks.flatMap((task) => task.operations);
  assert.ok(operations.length > 1);
  let end = 0n;
  for (const { elementStart, elementCount, tensorElementCount, inputs } of operations) {
    assert.equal(elementStart, end);
    assert.equal(elementStart % BigInt(SPLIT_ELEMENTS), 0n);
    assert.equal(tensorElementCount, BigInt(count));
    // Offsets stay those of the tensor; the range says which part of it.
    assert.ok(inputs.every(({ offsetBytes }) => offsetBytes === 4096n));
    end += elementCount;
  }
  assert.equal(end, BigInt(count));
  for (const method of ["slerp", "ties"]) {
    const parameters = method === "slerp" ? "{t: 0.5}" : "{weight: 1, density: 0.5}";
    const recipe = `merge_method: ${method}\nbase_model: m\nparameters: ${parameters}\n${list}`;
    const whole = planOf(recipe, models).tasks.flatMap((task) => task.operations);
    assert.equal(whole.length, 1, method);
  }
});

test("the task identity follows the work, not the place it is found at", () => {
  const recipe = (weight: number) =>
    `merge_method: linear\nmodels: [{model: m}, {model: n}]\nparameters: {weight: ${weight}, normalize: false}`;
  const at = (root: string) =>
    ["m", "n"].map((reference) => {
      return inventModel({ reference, root, config: null, tensors: [{ name: "w", shape: [8] }] });
    });
  const id = (...input: Parameters<typeof planOf>) => planOf(...input).tasks[0]?.taskId ?? "";
  const here = id(recipe(0.5), at("/models"));
  assert.match(here, /^[0-9a-f]{32}$/);
  assert.equal(id(recipe(0.5), at("/another/disk")), here);
  assert.notEqual(id(recipe(0.25), at("/models")), here);
  assert.notEqual(id(recipe(0.5), at("/models"), { kernelVersion: "test-2" }), here);
});

test("many tiny tensors do not make one enormous message", () => {
  const sizes = new Array<number>(10_000).fill(1);
  const plan = planOf("merge_method: passthrough\nmodels: [{model: m}]", [model("m", sizes)]);
  for (const task of plan.tasks) assert.ok(task.operations.length <= 4096);
});

test("empty tensors keep an operation each, so that every output name is accounted for", () => {
  const plan = planOf("merge_method: passthrough\nmodels: [{model: m}]", [model("m", [0, 0, 4])]);
  const operations = plan.tasks.flatMap((task) => task.operations);
  assert.deepEqual(
    operations.map(({ destinations }) => destinations.map(({ tensor }) => tensor)),
    [["t0"], ["t1"], ["t2"]],
  );
});
