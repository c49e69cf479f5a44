import assert from "node:assert/strict";
import { test } from "node:test";
import { isEmbeddingName, isHeadName, isInputEmbeddingName, splitLayer } from "./names.js";

test("the first number between dots is the layer, later ones stay in the suffix", () => {
  const cases = [
    ["model.layers.12.mlp.experts.3.w1.weight", "model.layers", 12, "mlp.experts.3.w1.weight"],
    ["h.0.attn.bias", "h", 0, "attn.bias"],
    ["vision.blocks.7.norm", "vision.blocks", 7, "norm"],
  ] as const;
  for (const [name, prefix, layer, suffix] of cases) {
    assert.deepEqual(splitLayer(name), { prefix, layer, suffix }, name);
  }
  for (const name of ["model.norm.weight", "3.weight", "a.b2.c", "x.9999999999.y", "tail.4"]) {
    assert.equal(splitLayer(name), null, name);
  }
});

test("embeddings, token embeddings and output heads are told apart by name", () => {
  const cases = [
    // name, embedding, token embedding, head
    ["model.embed_tokens.weight", true, true, false],
    ["language_model.model.embed_tokens.weight", true, true, false],
    ["transformer.wte.weight", true, true, false],
    ["transformer.wpe.weight", true, false, false],
    ["transformer.embd.wte.weight", true, true, false],
    ["model.tok_embeddings.weight", true, true, false],
    ["transformer.word_embeddings.weight", true, true, false],
    ["bert.embeddings.position_embeddings.weight", true, false, false],
    ["gpt_neox.embed_in.weight", true, true, false],
    ["embed_out.weight", false, false, true],
    ["lm_head.weight", false, false, true],
    ["language_model.lm_head.weight", false, false, true],
    ["lm_head.bias", false, false, false],
    ["output.weight", false, false, true],
    ["model.output.weight", false, false, true],
    ["bert.pooler.output.weight", false, false, false],
    ["transformer.output_layer.weight", false, false, true],
    ["model.layers.0.embed.weight", false, false, false],
    ["model.norm.weight", false, false, false],
  ] as const;
  for (const [name, embedding, tokens, head] of cases) {
    const found = [isEmbeddingName(name), isInputEmbeddingName(name), isHeadName(name)];
    assert.deepEqual(found, [embedding, tokens, head], name);
  }
});
