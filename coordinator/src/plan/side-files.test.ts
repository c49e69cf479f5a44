import assert from "node:assert/strict";
import { test } from "node:test";
import { inventModel, planOf } from "./invented-models.js";

const recipe = "merge_method: passthrough\nmodels: [{model: m}]";
const tensors = [{ name: "w", shape: [1] }];

test("tokenizer and other files travel; weights, code and what is written anew do not", () => {
  const copied = [
    "LICENSE",
    "chat_template.jinja",
    "generation_config.json",
    "merges.txt",
    "tokenizer.json",
    "tokenizer.model",
  ];
  const left = [
    ".gitattributes",
    "README.md",
    "config.json",
    "graft-manifest.json",
    "mergekit_config.yml",
    "model-00001-of-00002.safetensors",
    "model.gguf",
    "model.safetensors.index.json",
    "modeling_custom.py",
    "pytorch_model.bin",
    "recipe.yaml",
    "rust_model.ot.h5",
  ];
  const sideFiles = [...left, ...copied].reverse();
  const plan = planOf(recipe, [inventModel({ reference: "m", tensors, sideFiles })]);
  assert.deepEqual(plan.sideFiles, copied);
  assert.deepEqual(plan.notes, []);
});

test("code that the config relies on is named", () => {
  const config = { auto_map: { AutoModel: "modeling_custom.Model" } };
  const sideFiles = ["modeling_custom.py"];
  const plan = planOf(recipe, [inventModel({ reference: "m", tensors, sideFiles, config })]);
  assert.deepEqual(plan.sideFiles, []);
  assert.match(plan.notes[0] ?? "", /code is not copied \(modeling_custom\.py\)/);
});
