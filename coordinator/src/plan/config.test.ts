import assert from "node:assert/strict";
import { test } from "node:test";
import { inventModel, llamaTensors, planOf, problemsOf } from "./invented-models.js";

const TEXT = `{
  "architectures": ["LlamaForCausalLM"],
  "hidden_size": 16,
  "num_hidden_layers": 4,
  "layer_types": [
    "full",
    "sliding",
    "sliding",
    "last"
  ],
  "eos_token_id": [1, 2, 3, 4],
  "rope_theta": 1000000.0,
  "big": 12345678901234567890,
  "limit": [0.0, Infinity],
  "torch_dtype": "bfloat16"
}
`;

const m = inventModel({ reference: "m", config: TEXT, tensors: llamaTensors({ layers: 4 }) });
const stacked = `merge_method: passthrough
slices:
- sources: [{model: m, layer_range: [0, 2]}]
- sources: [{model: m, layer_range: [1, 4]}]
out_dtype: float16`;

test("only what changes is edited, the rest keeps its spelling", () => {
  const plan = planOf(stacked, [m]);
  const expected = TEXT.replace('"num_hidden_layers": 4', '"num_hidden_layers": 5')
    .replace('"sliding",\n    "sliding"', '"sliding",\n    "sliding",\n    "sliding"')
    .replace('"torch_dtype": "bfloat16"', '"torch_dtype": "float16"');
  assert.equal(plan.configText, expected);
});

test("a config without changes is the donor's, byte for byte", () => {
  const plan = planOf("merge_method: passthrough\nmodels: [{model: m}]", [m]);
  assert.equal(plan.configText, TEXT);
});

test("per-layer lists follow the model each layer comes from", () => {
  const config = {
    text_config: { num_hidden_layers: 4, layer_types: ["a", "b", "c", "d"], heads: [1, 2, 3, 4] },
  };
  const other = inventModel({ reference: "o", config, tensors: llamaTensors({ layers: 4 }) });
  const first = inventModel({
    reference: "m",
    config: { text_config: { num_hidden_layers: 4, layer_types: ["w", "x", "y", "z"] } },
    tensors: llamaTensors({ layers: 4 }),
  });
  const recipe = `merge_method: passthrough
slices:
- sources: [{model: m, layer_range: [0, 2]}]
- sources: [{model: o, layer_range: [3, 4]}]`;
  const edited = JSON.parse(planOf(recipe, [first, other]).configText ?? "{}").text_config;
  assert.deepEqual(edited, { num_hidden_layers: 3, layer_types: ["w", "x", "d"] });
});

test("the dtype goes where the config has it, or in as dtype", () => {
  const cases = [
    [{ dtype: "float32" }, { dtype: "float16" }],
    [{ torch_dtype: "float32" }, { torch_dtype: "float16" }],
    [{ a: 1 }, { a: 1, dtype: "float16" }],
    [{ text_config: { dtype: "float32" } }, { text_config: { dtype: "float16" } }],
  ];
  for (const [config, expected] of cases) {
    const tensors = llamaTensors({ layers: 1 });
    const model = inventModel({ reference: "m", config: config ?? {}, tensors });
    const plan = planOf("merge_method: passthrough\nmodels: [{model: m}]\ndtype: float16", [model]);
    assert.deepEqual(JSON.parse(plan.configText ?? "{}"), expected);
  }
});

test("no config is a note, a damaged one a problem", () => {
  const recipe = "merge_method: passthrough\nmodels: [{model: m}]";
  const tensors = llamaTensors({ layers: 1 });
  const none = planOf(recipe, [inventModel({ reference: "m", config: null, tensors })]);
  assert.equal(none.configText, null);
  assert.ok(none.notes.some((note) => note.includes("no config.json")));
  const [problem] = problemsOf(recipe, [inventModel({ reference: "m", config: "[1", tensors })]);
  assert.match(problem?.message ?? "", /config.json is not a JSON object/);
});
