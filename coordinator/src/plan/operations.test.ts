import assert from "node:assert/strict";
import { test } from "node:test";
import { Dtype, Kernel, Pruning } from "@graft/proto";
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
const b = inventLlama("b", { layers: 4 });
const base = inventLlama("base", { layers: 4 });
const Q2 = "model.layers.2.self_attn.q_proj.weight";
const NORM = "model.norm.weight";

test("linear divides the weights by their sum unless normalize is off", () => {
  const recipe = (rest: string) => `
merge_method: linear
models:
- {model: a, parameters: {weight: 0.3}}
- {model: b, parameters: {weight: 0.9}}
${rest}`;
  const cases = [
    ["", [0.3 / (0.3 + 0.9), 0.9 / (0.3 + 0.9)]],
    ["parameters: {normalize: false}", [0.3, 0.9]],
  ] as const;
  for (const [rest, weights] of cases) {
    const operation = operationOf(planOf(recipe(rest), [a, b]), Q2);
    assert.equal(operation.kernel, Kernel.KERNEL_LINEAR);
    assert.deepEqual(
      operation.inputs.map(({ weight }) => weight),
      weights,
    );
  }
});

test("weights that add up to nothing are a problem that names the tensor", () => {
  const recipe = `
merge_method: linear
models:
- {model: a, parameters: {weight: 1}}
- {model: b, parameters: {weight: [{filter: norm, value: -1}, {value: 1}]}}`;
  const [problem, ...more] = problemsOf(recipe, [a, b]);
  assert.equal(more.length, 0);
  assert.match(
    problem?.message ?? "",
    /model\.layers\.0\.input_layernorm\.weight.*add up to 0.*4 more/,
  );
});

test("slerp starts at the base wherever it is listed", () => {
  for (const order of [
    ["base", "a"],
    ["a", "base"],
  ]) {
    const models = order.map((model) => `- {model: ${model}}`).join("\n");
    const recipe = `merge_method: slerp\nbase_model: base\nmodels:\n${models}\nparameters: {t: [0, 1]}`;
    const operation = operationOf(planOf(recipe, [a, base]), Q2);
    assert.equal(operation.kernel, Kernel.KERNEL_SLERP);
    assert.deepEqual(
      operation.inputs.map(({ model }) => model),
      ["base", "a"],
    );
    assert.deepEqual(operation.parameters, { $case: "slerp", value: { t: 2 / 3 } });
  }
});

test("gradients use the layer's place in its stack and the first element outside it", () => {
  const recipe = `
merge_method: slerp
base_model: base
models: [{model: base}, {model: a}]
parameters: {t: [0.25, 1]}`;
  const plan = planOf(recipe, [a, base]);
  const t = (name: string) => {
    const { parameters } = operationOf(plan, name);
    return parameters?.$case === "slerp" ? parameters.value.t : null;
  };
  assert.equal(t("model.embed_tokens.weight"), 0.25);
  assert.equal(t(NORM), 0.25);
  assert.equal(t("lm_head.weight"), 0.25);
  assert.equal(t("model.layers.0.mlp.up_proj.weight"), 0.25);
  assert.equal(t("model.layers.3.mlp.up_proj.weight"), 1);
});

test("passthrough copies bytes, scales or converts", () => {
  const cases = [
    ["", Kernel.KERNEL_COPY, Dtype.DTYPE_BF16, "copied"],
    ["parameters: {scale: 1}", Kernel.KERNEL_COPY, Dtype.DTYPE_BF16, "copied"],
    ["parameters: {scale: 2}", Kernel.KERNEL_LINEAR, Dtype.DTYPE_BF16, "merged"],
    ["dtype: float32", Kernel.KERNEL_LINEAR, Dtype.DTYPE_F32, "copied"],
    ["dtype: float32\nout_dtype: bfloat16", Kernel.KERNEL_COPY, Dtype.DTYPE_BF16, "copied"],
  ] as const;
  for (const [rest, kernel, dtype, fate] of cases) {
    const plan = planOf(`merge_method: passthrough\nmodels: [{model: a}]\n${rest}`, [a]);
    const operation = operationOf(plan, Q2);
    assert.deepEqual([operation.kernel, operation.outputDtype], [kernel, dtype], rest);
    assert.equal(ledgerOf(plan, "a", Q2)?.fate, fate);
  }
});

test("the task-vector family maps to pruning, election and its own defaults", () => {
  const { PRUNING_NONE, PRUNING_MAGNITUDE, PRUNING_BERNOULLI } = Pruning;
  const cases = [
    // method, density, pruning, election, normalize, rescale, density in the plan
    ["task_arithmetic", 0.5, PRUNING_NONE, false, false, false, 1],
    ["ties", 0.5, PRUNING_MAGNITUDE, true, true, false, 0.5],
    ["ties", 1, PRUNING_NONE, true, true, false, 1],
    ["dare_linear", 0.5, PRUNING_BERNOULLI, false, false, true, 0.5],
    ["dare_ties", 0.5, PRUNING_BERNOULLI, true, false, true, 0.5],
    ["dare_ties", 2, PRUNING_NONE, true, false, false, 1],
  ] as const;
  for (const [method, density, pruning, electSign, normalize, rescale, planned] of cases) {
    const recipe = `
merge_method: ${method}
base_model: base
models:
- {model: a, parameters: {weight: 0.25, density: ${density}}}
- {model: b, parameters: {weight: -1, density: 1}}
parameters: {lambda: 0.5, int8_mask: true}`;
    const { kernel, inputs, parameters } = operationOf(planOf(recipe, [base, a, b]), Q2);
    assert.equal(kernel, Kernel.KERNEL_TASK_VECTOR);
    const flat = inputs.map((input) => [
      input.model,
      input.weight,
      input.density,
      input.modelIndex,
    ]);
    assert.deepEqual(
      flat,
      [
        ["base", 0, 1, 2],
        ["a", 0.25, planned, 0],
        ["b", -1, 1, 1],
      ],
      method,
    );
    const isRandom = pruning === PRUNING_BERNOULLI;
    assert.deepEqual(parameters, {
      $case: "taskVector",
      value: {
        pruning,
        electSign,
        normalize,
        rescale,
        lambda: 0.5,
        seed: isRandom ? 7n : 0n,
        streamName: isRandom ? Q2 : "",
      },
    });
  }
});

test("dtype of the output: asked for, else promoted, else the base's", () => {
  const f16 = inventLlama("f16", { layers: 4, dtype: Dtype.DTYPE_F16 });
  const f32 = inventLlama("f32", { layers: 4, dtype: Dtype.DTYPE_F32 });
  const linear = "merge_method: linear\nparameters: {weight: 1}\nmodels:";
  const slerp = "merge_method: slerp\nparameters: {t: 0.5}\nbase_model: a\nmodels:";
  const cases = [
    [`${linear} [{model: a}, {model: f16}]`, Dtype.DTYPE_F32],
    [`${linear} [{model: a}, {model: f32}]`, Dtype.DTYPE_F32],
    [`${linear} [{model: a}, {model: b}]`, Dtype.DTYPE_BF16],
    [`${slerp} [{model: a}, {model: f32}]`, Dtype.DTYPE_BF16],
    [`${slerp} [{model: a}, {model: f32}]\nout_dtype: float16`, Dtype.DTYPE_F16],
  ] as const;
  for (const [recipe, dtype] of cases) {
    const operation = operationOf(planOf(recipe, [a, b, f16, f32]), Q2);
    assert.equal(operation.outputDtype, dtype, recipe);
  }
});

test("tensors that only some models have: merged over those, copied, or the base's", () => {
  const extra = { name: "model.layers.0.extra.weight", shape: [3] };
  const shape = { layers: 4 };
  const config = llamaConfig(shape);
  const only = inventModel({ reference: "only", config, tensors: [...llamaTensors(shape), extra] });
  const cases = [
    ["linear", "models: [{model: a}, {model: only}]\nparameters: {weight: 0.5}"],
    ["slerp", "base_model: a\nmodels: [{model: a}, {model: only}]\nparameters: {t: 0.5}"],
    ["ties", "base_model: a\nmodels: [{model: only}]\nparameters: {weight: 1}"],
    ["ties", "base_model: only\nmodels: [{model: a}]\nparameters: {weight: 1}"],
  ];
  for (const [method, rest] of cases) {
    const plan = planOf(`merge_method: ${method}\n${rest}`, [a, only]);
    const operation = operationOf(plan, extra.name);
    assert.equal(operation.kernel, Kernel.KERNEL_COPY, method);
    assert.equal(ledgerOf(plan, "only", extra.name)?.fate, "copied");
    assert.ok(plan.notes.some((note) => note.includes(extra.name) && note.startsWith("a:")));
  }
});

test("a missing weight is told once, with the first tensor and the count", () => {
  const recipe = `
merge_method: linear
models:
- {model: a, parameters: {weight: 1}}
- model: b
  parameters: {weight: [{filter: norm, value: 1}]}`;
  const [problem, ...more] = problemsOf(recipe, [a, b]);
  assert.equal(more.length, 0);
  assert.match(problem?.message ?? "", /^weight of model "b": .*"model\.embed_tokens\.weight"/);
  assert.match(problem?.message ?? "", /and 9 more tensors/);
  assert.equal(problem?.position?.line, 5);
});

test("the base of a task-vector merge needs no weight", () => {
  const recipe = `
merge_method: ties
base_model: base
models: [{model: base}, {model: a, parameters: {weight: 1, density: 0.5}}]`;
  assert.equal(operationOf(planOf(recipe, [base, a]), Q2).inputs.length, 2);
});

test("integer tensors are copied from the base, and the ledger says so", () => {
  const ids = { name: "model.position_ids", shape: [8], dtype: Dtype.DTYPE_I64 };
  const withIds = (reference: string) =>
    inventModel({ reference, tensors: [...llamaTensors({ layers: 1 }), ids] });
  const recipe = `
merge_method: slerp
base_model: y
dtype: float32
models: [{model: x}, {model: y}]
parameters: {t: 0.5}`;
  const plan = planOf(recipe, [withIds("x"), withIds("y")]);
  const operation = operationOf(plan, ids.name);
  assert.deepEqual(
    [operation.kernel, operation.outputDtype],
    [Kernel.KERNEL_COPY, Dtype.DTYPE_I64],
  );
  assert.equal(operation.inputs[0]?.model, "y");
  assert.equal(ledgerOf(plan, "x", ids.name)?.fate, "ignored");
  assert.match(ledgerOf(plan, "x", ids.name)?.reason ?? "", /copied from "y": I64/);
});

test("quantised weights are copied but never computed with", () => {
  const quantised = (reference: string, config: object, dtype: Dtype) =>
    inventModel({ reference, config, tensors: [{ name: "model.norm.weight", shape: [4], dtype }] });
  const fp8 = quantised("fp8", {}, Dtype.DTYPE_F8_E4M3);
  const gptq = quantised("gptq", { quantization_config: { bits: 4 } }, Dtype.DTYPE_I32);
  for (const model of [fp8, gptq]) {
    const name = model.reference;
    const copy = planOf(`merge_method: passthrough\nmodels: [{model: ${name}}]`, [model]);
    assert.equal(operationOf(copy, NORM).kernel, Kernel.KERNEL_COPY);
    const other = { ...model, reference: "other", label: "other" };
    const merge = `merge_method: linear\nmodels: [{model: ${name}}, {model: other}]\nparameters: {weight: 1}`;
    const [problem, ...more] = problemsOf(merge, [model, other]);
    assert.equal(more.length, 0);
    assert.match(problem?.message ?? "", new RegExp(`"model.norm.weight" of "${name}"`));
  }
});

test("embedding rows are cut to what all models have, or to the base's", () => {
  const small = inventLlama("small", { layers: 1, vocabulary: 60 });
  const large = inventLlama("large", { layers: 1, vocabulary: 66 });
  const linear =
    "merge_method: linear\nmodels: [{model: large}, {model: small}]\nparameters: {weight: 1}";
  const ties =
    "merge_method: ties\nbase_model: small\nmodels: [{model: large}]\nparameters: {weight: 1}";
  for (const recipe of [linear, ties]) {
    const plan = planOf(recipe, [small, large]);
    for (const name of ["model.embed_tokens.weight", "lm_head.weight"]) {
      const tensor = plan.files[0]?.tensors.find((candidate) => candidate.name === name);
      assert.deepEqual(tensor?.shape, [60, 16]);
      assert.equal(operationOf(plan, name).elementCount, 960n);
    }
    assert.equal(JSON.parse(plan.configText ?? "{}").vocab_size, 60, recipe);
  }
  const tooSmall =
    "merge_method: ties\nbase_model: large\nmodels: [{model: small}]\nparameters: {weight: 1}";
  const [problem] = problemsOf(tooSmall, [small, large]);
  assert.match(problem?.message ?? "", /\[66,16\] in "large", \[60,16\] in "small" \(and 1 more/);
});

test("another shape mismatch names the tensor, both models and both shapes once", () => {
  const odd = inventModel({
    reference: "odd",
    tensors: llamaTensors({ layers: 4 }).map((tensor) =>
      tensor.name.endsWith("q_proj.weight") ? { ...tensor, shape: [16, 8] } : tensor,
    ),
  });
  const recipe =
    "merge_method: linear\nmodels: [{model: a}, {model: odd}]\nparameters: {weight: 1}";
  assert.deepEqual(
    problemsOf(recipe, [a, odd]).map(({ message }) => message),
    [
      'tensor "model.layers.0.self_attn.q_proj.weight": shape [16,16] in "a", [16,8] in "odd" ' +
        "(and 3 more tensors)",
    ],
  );
});

test("a model without a head lends its embedding when another has one", () => {
  const tied = inventLlama("tied", { layers: 4, tied: true });
  const recipe =
    "merge_method: linear\nmodels: [{model: tied}, {model: a}]\nparameters: {weight: 1}";
  const plan = planOf(recipe, [tied, a]);
  const head = operationOf(plan, "lm_head.weight");
  const names = head.inputs.map(({ tensor }) => tensor);
  assert.deepEqual(names, ["model.embed_tokens.weight", "lm_head.weight"]);
  const entry = ledgerOf(plan, "tied", "model.embed_tokens.weight");
  assert.equal(entry?.fate, "aliased");
  assert.deepEqual(entry?.outputs, ["model.embed_tokens.weight", "lm_head.weight"]);
  assert.equal(JSON.parse(plan.configText ?? "{}").tie_word_embeddings, false);

  const both =
    "merge_method: linear\nmodels: [{model: tied}, {model: t2}]\nparameters: {weight: 1}";
  const tiedPlan = planOf(both, [tied, inventLlama("t2", { layers: 4, tied: true })]);
  assert.ok(!outputNames(tiedPlan).includes("lm_head.weight"));
  assert.equal(JSON.parse(tiedPlan.configText ?? "{}").tie_word_embeddings, true);
});

test("configs that disagree are one problem, not one per tensor", () => {
  const wide = inventLlama("wide", { layers: 4, hidden: 32 });
  const qwen = inventLlama("qwen", { layers: 4, config: { architectures: ["Qwen2ForCausalLM"] } });
  const deep = inventLlama("deep", { layers: 6 });
  const cases = [
    [wide, /"wide": hidden_size is 32, but "a" has 16/],
    [qwen, /"qwen": architectures is \["Qwen2ForCausalLM"\], but "a" has \["LlamaForCausalLM"\]/],
    [deep, /"deep": 6 layers, but "a" has 4; choose layers with "slices"/],
  ] as const;
  for (const [model, message] of cases) {
    const models = `models: [{model: a}, {model: ${model.reference}}]`;
    const recipe = `merge_method: linear\nparameters: {weight: 1}\n${models}`;
    const problems = problemsOf(recipe, [a, model]);
    assert.equal(problems.length, 1);
    assert.match(problems[0]?.message ?? "", message);
  }
});
