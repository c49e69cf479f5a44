import assert from "node:assert/strict";
import { test } from "node:test";
import { Kernel } from "@graft/proto";
import {
  inventLlama,
  inventModel,
  ledgerOf,
  llamaConfig,
  llamaTensors,
  operationOf,
  outputNames,
  planOf,
  problemsOf,
} from "./invented-models.js";

const a = inventLlama("a", { layers: 4 });
const b = inventLlama("b", { layers: 6 });

/** "a:0-2,b:1-3" is one slice of two sources; slices are separated by spaces. */
function slices(text: string): string {
  const lines = text.split(" ").flatMap((slice) => [
    "- sources:",
    ...slice.split(",").map((source) => {
      const [model, range] = source.split(":");
      return `  - {model: ${model}, layer_range: [${range?.replace("-", ", ")}]}`;
    }),
  ]);
  return `slices:\n${lines.join("\n")}`;
}

const passthrough = (text: string) => `merge_method: passthrough\n${slices(text)}`;
const up = (layer: number) => `model.layers.${layer}.mlp.up_proj.weight`;

test("output layers are numbered over the slices, and the config follows", () => {
  const plan = planOf(passthrough("a:0-3 b:2-6"), [a, b]);
  const layers = outputNames(plan).filter((name) => name.endsWith("up_proj.weight"));
  assert.deepEqual(layers, [0, 1, 2, 3, 4, 5, 6].map(up));
  const sources = layers.map((name) => {
    const [input] = operationOf(plan, name).inputs;
    return `${input?.model} ${input?.tensor}`;
  });
  const expected = [
    ...[0, 1, 2].map((n) => `a ${up(n)}`),
    ...[2, 3, 4, 5].map((n) => `b ${up(n)}`),
  ];
  assert.deepEqual(sources, expected);
  assert.equal(JSON.parse(plan.configText ?? "{}").num_hidden_layers, 7);
});

test("a layer used twice is read once and written to both places", () => {
  const plan = planOf(passthrough("b:0-4 b:2-6"), [b]);
  const operation = operationOf(plan, up(2));
  assert.equal(operation.kernel, Kernel.KERNEL_COPY);
  assert.deepEqual(
    operation.destinations.map(({ tensor }) => tensor),
    [up(2), up(4)],
  );
  assert.deepEqual(ledgerOf(plan, "b", up(2))?.outputs, [up(2), up(4)]);
  const readOnce = [...b.tensors.values()].reduce((sum, tensor) => sum + tensor.lengthBytes, 0);
  assert.equal(plan.totals.readBytes, readOnce);
  assert.ok(plan.totals.writeBytes > readOnce);
});

test("embeddings come from the first slice, norm and head from the last, t is 0 for both", () => {
  const recipe = `merge_method: linear
${slices("a:0-1,b:0-1 b:1-2,a:3-4")}
parameters: {weight: [1, 3]}`;
  const plan = planOf(recipe, [a, b]);
  const models = (name: string) => operationOf(plan, name).inputs.map(({ model }) => model);
  assert.deepEqual(models("model.embed_tokens.weight"), ["a", "b"]);
  assert.deepEqual(models("lm_head.weight"), ["b", "a"]);
  assert.deepEqual(models("model.norm.weight"), ["b", "a"]);
  assert.deepEqual(models(up(1)), ["b", "a"]);
});

test("parameters of the source beat those of the slice and those of the recipe", () => {
  const recipe = `
merge_method: linear
slices:
- sources:
  - {model: a, layer_range: [1, 3], parameters: {weight: [{filter: layers.1., value: 5}]}}
  - {model: b, layer_range: [2, 4]}
  parameters: {weight: [{filter: up_proj, value: 3}]}
parameters: {weight: 2, normalize: false}`;
  const plan = planOf(recipe, [a, b]);
  const weights = (name: string) => operationOf(plan, name).inputs.map(({ weight }) => weight);
  // Filters see each model's own layer number: layer 1 of "a" becomes layer 0 of the output.
  assert.deepEqual(weights(up(0)), [5, 3]);
  assert.deepEqual(weights(up(1)), [3, 3]);
  assert.deepEqual(weights("model.layers.0.self_attn.q_proj.weight"), [5, 2]);
  assert.deepEqual(weights("model.norm.weight"), [2, 2]);
});

test("global filters see the output name, gradients restart, one layer takes the last element", () => {
  const recipe = `
merge_method: slerp
base_model: a
slices:
- sources: [{model: a, layer_range: [3, 4]}, {model: b, layer_range: [5, 6]}]
- sources: [{model: a, layer_range: [0, 3]}, {model: b, layer_range: [0, 3]}]
  base_model: b
parameters:
  t:
  - {filter: layers.2., value: 0.9}
  - {value: [0, 1]}`;
  const plan = planOf(recipe, [a, b]);
  const t = (layer: number) => {
    const { parameters, inputs } = operationOf(plan, up(layer));
    return [parameters?.$case === "slerp" ? parameters.value.t : null, inputs[0]?.model];
  };
  assert.deepEqual([0, 1, 2, 3].map(t), [
    [1, "a"],
    [0, "b"],
    [0.9, "b"],
    [1, "b"],
  ]);
  assert.equal(operationOf(plan, "model.norm.weight").inputs[0]?.model, "b");
});

test("a range beyond the last layer names model, range and count at its place", () => {
  const problems = problemsOf(passthrough("a:0-5 b:0-6 b:3-9"), [a, b]);
  const expected = [
    'slices[0].sources[0].layer_range: [0, 5] is beyond the last layer of "a", which has 4; ' +
      "the end must be at most 4",
    'slices[2].sources[0].layer_range: [3, 9] is beyond the last layer of "b", which has 6; ' +
      "the end must be at most 6",
  ];
  assert.deepEqual(
    problems.map(({ message }) => message),
    expected,
  );
  assert.deepEqual(
    problems.map(({ position }) => position?.line),
    [4, 8],
  );
});

test("tensors no slice provides are copied from the base, else from the first model that has them", () => {
  const vision = { name: "vision.patch.weight", shape: [4] };
  const config = llamaConfig({ layers: 4 });
  const tensors = [...llamaTensors({ layers: 4 }), vision];
  const first = inventModel({ reference: "first", config, tensors });
  const plan = planOf(passthrough("first:0-2 a:0-2"), [first, a]);
  assert.equal(operationOf(plan, vision.name).inputs[0]?.model, "first");
  assert.equal(ledgerOf(plan, "first", vision.name)?.fate, "copied");

  const odd = { ...vision, shape: [5] };
  const other = inventModel({
    reference: "other",
    config,
    tensors: [...llamaTensors({ layers: 4 }), odd],
  });
  const [problem] = problemsOf(passthrough("first:0-2 other:0-1 a:0-2"), [first, other, a]);
  assert.match(
    problem?.message ?? "",
    /"vision.patch.weight": shape \[4\] in "first", \[5\] in "other"/,
  );
});

test("the ledger says why a tensor was left out", () => {
  const plan = planOf(passthrough("a:0-2 b:3-5 a:3-4"), [a, b]);
  const cases = [
    ["a", up(2), "layer 2 is in no slice"],
    ["b", up(0), "layer 0 is in no slice"],
    ["b", "model.embed_tokens.weight", "embeddings come from the first slice"],
    ["b", "model.norm.weight", "tensors outside the layers come from the last slice"],
  ] as const;
  for (const [model, tensor, reason] of cases) {
    const entry = ledgerOf(plan, model, tensor);
    assert.deepEqual([entry?.fate, entry?.reason], ["ignored", reason]);
  }
});

test("the head of a tied last slice is its embedding when the donor has a head", () => {
  const tied = inventLlama("tied", { layers: 4, tied: true });
  const plan = planOf(passthrough("a:0-2 tied:2-4"), [a, tied]);
  const [input] = operationOf(plan, "lm_head.weight").inputs;
  assert.deepEqual([input?.model, input?.tensor], ["tied", "model.embed_tokens.weight"]);
  const reverse = planOf(passthrough("tied:0-2 a:2-4"), [a, tied]);
  assert.equal(operationOf(reverse, "lm_head.weight").inputs[0]?.model, "a");
  assert.equal(JSON.parse(reverse.configText ?? "{}").tie_word_embeddings, false);
});

test("of several layer stacks the one as deep as the config is sliced", () => {
  const visionTensors = [0, 1, 2].map((n) => ({ name: `vision.blocks.${n}.w`, shape: [4] }));
  const tensors = [...visionTensors, ...llamaTensors({ layers: 4 })];
  const text_config = { num_hidden_layers: 4 };
  const both = inventModel({ reference: "both", tensors, config: { text_config } });
  const plan = planOf(passthrough("both:0-2 both:1-4"), [both]);
  assert.equal(JSON.parse(plan.configText ?? "{}").text_config.num_hidden_layers, 5);
  assert.ok(outputNames(plan).includes("vision.blocks.2.w"));
  assert.ok(outputNames(plan).includes(up(4)));

  const unclear = inventModel({ reference: "unclear", tensors });
  const [problem] = problemsOf(passthrough("unclear:0-2"), [unclear]);
  assert.match(problem?.message ?? "", /"vision.blocks" \(3\), "model.layers" \(4\)/);
  const flat = inventModel({ reference: "flat", tensors: [{ name: "w", shape: [1] }] });
  assert.match(problemsOf(passthrough("flat:0-1"), [flat])[0]?.message ?? "", /no tensor name/);
});
