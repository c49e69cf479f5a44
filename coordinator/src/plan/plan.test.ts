import assert from "node:assert/strict";
import { test } from "node:test";
import { Dtype, dtypeInfo } from "@graft/proto";
import {
  inventLlama,
  inventModel,
  llamaConfig,
  llamaTensors,
  planOf,
  planOptions,
  readRecipe,
  seededRandom,
} from "./invented-models.js";
import { createPlan } from "./plan.js";
import type { DescribedModel, Plan } from "./types.js";

const SEED = Number(process.env.GRAFT_TEST_SEED ?? 20_240_607);

interface Example {
  readonly recipe: string;
  readonly models: readonly DescribedModel[];
  readonly maxShardSizeBytes: number;
}

/** A random recipe over random models: any method, either form, tied heads, missing tensors. */
function example(random: (bound: number) => number): Example {
  const layers = 1 + random(6);
  const models = ["m0", "m1", "m2"].map((reference) => {
    const shape = { layers, vocabulary: 60 + random(4), tied: random(3) === 0 };
    const dtype = random(2) === 0 ? Dtype.DTYPE_BF16 : Dtype.DTYPE_F32;
    const tensors = llamaTensors({ ...shape, dtype }).filter(() => random(20) !== 0);
    tensors.push({ name: "model.ids", shape: [3], dtype: Dtype.DTYPE_I64 });
    if (random(2) === 0) tensors.push({ name: `extra.${reference}`, shape: [1 + random(5)] });
    const config = llamaConfig(shape);
    return inventModel({ reference, tensors, config, fileCount: 1 + random(3) });
  });
  const method = ["linear", "slerp", "passthrough", "ties", "dare_linear"][random(5)] ?? "linear";
  const head = `merge_method: ${method}\n`;
  const parameters = "parameters: {weight: [0.5, 1], density: 0.5}";
  const own: Readonly<Record<string, string>> = {
    linear: "parameters: {weight: [0.5, 1], normalize: false}",
    slerp: "parameters: {t: [0, 1]}",
    passthrough: "parameters: {scale: [1, 2]}",
  };
  const count = method === "passthrough" ? 1 : method === "slerp" ? 2 : 3;
  // The smallest vocabulary as the base: embeddings can be cut, never grown.
  const rows = (model: DescribedModel) =>
    model.tensors.get("model.embed_tokens.weight")?.shape[0] ?? 0;
  const chosen = models.slice(0, count).sort((a, b) => rows(a) - rows(b));
  const base = method === "passthrough" ? "" : `base_model: ${chosen[0]?.reference}\n`;
  const range = () => {
    const start = random(layers);
    return [start, start + 1 + random(layers - start)] as const;
  };
  const slice = ([start, end]: readonly [number, number]) =>
    `- sources: [${chosen.map(({ reference }) => `{model: ${reference}, layer_range: [${start}, ${end}]}`).join(", ")}]`;
  const body =
    random(2) === 0
      ? `models: [${chosen.map(({ reference }) => `{model: ${reference}}`).join(", ")}]`
      : `slices:\n${[range(), range(), range()].map(slice).join("\n")}`;
  const recipe = `${head}${base}${own[method] ?? parameters}\n${body}\n`;
  return { recipe, models, maxShardSizeBytes: [1e9, 3000, 1][random(3)] ?? 1e9 };
}

/** Every data byte of every file written by exactly one destination of one operation. */
function checkCoverage(plan: Plan): void {
  const written = new Map<string, [number, number][]>();
  for (const task of plan.tasks) {
    for (const operation of task.operations) {
      const size = dtypeInfo(operation.outputDtype).sizeBytes;
      for (const { fileIndex, offsetBytes } of operation.destinations) {
        const start = Number(offsetBytes) + Number(operation.elementStart) * size;
        const end = start + Number(operation.elementCount) * size;
        const file = task.outputs[fileIndex] ?? "";
        written.set(file, [...(written.get(file) ?? []), [start, end]]);
      }
    }
  }
  assert.equal(written.size, plan.files.length);
  for (const { name, header, sizeBytes } of plan.files) {
    let end = header.length;
    for (const [start, stop] of (written.get(name) ?? []).sort((a, b) => a[0] - b[0])) {
      assert.equal(start, end, `${name}: hole or overlap`);
      end = stop;
    }
    assert.equal(end, sizeBytes, name);
  }
}

/** Every input tensor once; every operation input is inside its tensor and its file. */
function checkLedger(plan: Plan, models: readonly DescribedModel[]): void {
  const listed = plan.ledger.map(({ model, tensor }) => `${model} ${tensor}`);
  const expected = models.flatMap(({ label, tensors }) => {
    return [...tensors.keys()].map((tensor) => `${label} ${tensor}`);
  });
  assert.deepEqual([...listed].sort(), expected.sort());
  const outputs = new Set(plan.files.flatMap(({ tensors }) => tensors.map(({ name }) => name)));
  for (const { fate, outputs: into, reason, tensor } of plan.ledger) {
    assert.equal(into.length === 0, fate === "ignored", tensor);
    assert.ok(fate !== "ignored" || reason !== null, `${tensor}: ignored without a reason`);
    for (const name of into) assert.ok(outputs.has(name), name);
  }
}

test(`plans cover every output byte and account for every input tensor (seed ${SEED})`, () => {
  const random = seededRandom(SEED);
  let planned = 0;
  for (let round = 0; round < 300; round += 1) {
    const { recipe, models, maxShardSizeBytes } = example(random);
    const parsed = readRecipe(recipe);
    const used = models.filter(({ reference }) => {
      return parsed.references.some(({ text }) => text === reference);
    });
    const byReference = new Map(models.map((model) => [model.reference, model]));
    const options = { ...planOptions, maxShardSizeBytes };
    const { plan, problems } = createPlan(parsed, byReference, options);
    assert.equal(plan === null, problems.length > 0, recipe);
    if (plan === null) continue;
    planned += 1;
    checkCoverage(plan);
    checkLedger(plan, used);
    const shuffled = new Map(
      [...byReference].reverse().map(([reference, model]) => {
        const tensors = new Map([...model.tensors].reverse());
        const files = model.files.map((file) => ({ ...file, path: `/elsewhere/${file.name}` }));
        return [reference, { ...model, tensors, files, directory: "/elsewhere" }];
      }),
    );
    assert.equal(createPlan(parsed, shuffled, options).plan?.digest, plan.digest);
  }
  assert.ok(planned > 200, `only ${planned} of 300 recipes planned`);
});

test("the plan digest changes with seed, shard size, kernel version and recipe", () => {
  const models = [inventLlama("a", { layers: 2 }), inventLlama("b", { layers: 2 })];
  const recipe = (weight: number) =>
    `merge_method: linear\nmodels: [{model: a}, {model: b}]\nparameters: {weight: [1, ${weight}], normalize: false}`;
  const plain = planOf(recipe(2), models).digest;
  assert.match(plain, /^[0-9a-f]{32}$/);
  const others = [
    planOf(recipe(2), models, { seed: 8n }),
    planOf(recipe(2), models, { maxShardSizeBytes: 1000 }),
    planOf(recipe(2), models, { kernelVersion: "test-2" }),
    planOf(recipe(3), models),
  ].map(({ digest }) => digest);
  assert.equal(new Set([plain, ...others]).size, 5);
});

test("totals count the output to the byte", () => {
  const model = inventLlama("a", { layers: 2 });
  const plan = planOf("merge_method: passthrough\nmodels: [{model: a}]", [model]);
  const bytes = [...model.tensors.values()].reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
  assert.equal(plan.totals.readBytes, bytes);
  assert.equal(plan.totals.writeBytes, bytes);
  assert.equal(plan.totals.outputBytes, bytes + (plan.files[0]?.header.length ?? 0));
  assert.equal(plan.totals.parameterCount, bytes / 2);
  assert.equal(plan.totals.tensorCount, model.tensors.size);
});

test("30,000 tensors of two models plan in seconds", () => {
  const tensors = Array.from({ length: 30_000 }, (_, number) => ({
    name: `model.layers.${Math.floor(number / 300)}.mlp.experts.${number % 300}.w.weight`,
    shape: [64, 32],
  }));
  const models = ["a", "b"].map((reference) => inventModel({ reference, tensors, fileCount: 10 }));
  const slices = Array.from({ length: 50 }, (_, number) => {
    const range = `layer_range: [${number * 2}, ${number * 2 + 2}]`;
    return `- sources: [{model: a, ${range}}, {model: b, ${range}}]`;
  });
  const recipe = `merge_method: slerp\nbase_model: a\nparameters: {t: [0, 1]}\nslices:\n${slices.join("\n")}`;
  const start = performance.now();
  const plan = planOf(recipe, models, { maxShardSizeBytes: 1e6 });
  const elapsedMs = performance.now() - start;
  assert.equal(plan.totals.tensorCount, 30_000);
  assert.ok(elapsedMs < 3000, `took ${elapsedMs} ms`);
});
