// The files beside the weights of a made-up model, such that transformers loads it: Llama config,
// generation config and a word-level tokenizer whose vocabulary fills the embedding exactly.

export interface ModelShape {
  readonly layers: number;
  readonly hidden: number;
  readonly intermediate: number;
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly vocabulary: number;
  /** The head shares the embedding matrix; no lm_head.weight is stored. */
  readonly tied: boolean;
}

export type WeightDtype = "F32" | "F16" | "BF16";

const TORCH_NAME: Readonly<Record<WeightDtype, string>> = {
  F32: "float32",
  F16: "float16",
  BF16: "bfloat16",
};

const SPECIAL_TOKENS = ["<unk>", "<s>", "</s>"] as const;

function config(shape: ModelShape, dtype: WeightDtype): unknown {
  return {
    architectures: ["LlamaForCausalLM"],
    attention_bias: false,
    attention_dropout: 0.0,
    bos_token_id: 1,
    eos_token_id: 2,
    head_dim: shape.hidden / shape.heads,
    hidden_act: "silu",
    hidden_size: shape.hidden,
    initializer_range: 0.02,
    intermediate_size: shape.intermediate,
    max_position_embeddings: 2048,
    mlp_bias: false,
    model_type: "llama",
    num_attention_heads: shape.heads,
    num_hidden_layers: shape.layers,
    num_key_value_heads: shape.keyValueHeads,
    pretraining_tp: 1,
    rms_norm_eps: 1e-5,
    rope_scaling: null,
    rope_theta: 10000.0,
    tie_word_embeddings: shape.tied,
    torch_dtype: TORCH_NAME[dtype],
    transformers_version: "4.46.0",
    use_cache: true,
    vocab_size: shape.vocabulary,
  };
}

function tokenizer(vocabulary: number): unknown {
  const words = Array.from({ length: vocabulary }, (_, id) => SPECIAL_TOKENS[id] ?? `w${id}`);
  const special = { single_word: false, lstrip: false, rstrip: false, normalized: false };
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: SPECIAL_TOKENS.map((content, id) => ({ id, content, ...special, special: true })),
    normalizer: null,
    pre_tokenizer: { type: "Whitespace" },
    post_processor: null,
    decoder: null,
    model: {
      type: "WordLevel",
      vocab: Object.fromEntries(words.map((word, id) => [word, id])),
      unk_token: "<unk>",
    },
  };
}

const specialTokens = { bos_token: "<s>", eos_token: "</s>", unk_token: "<unk>" };

/** File name to text, config.json included. */
export function sideFiles(shape: ModelShape, dtype: WeightDtype): ReadonlyMap<string, string> {
  const generation = { bos_token_id: 1, eos_token_id: 2, transformers_version: "4.46.0" };
  const tokenizerConfig = {
    ...specialTokens,
    clean_up_tokenization_spaces: false,
    model_max_length: 2048,
    tokenizer_class: "PreTrainedTokenizerFast",
  };
  const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
  return new Map([
    ["config.json", json(config(shape, dtype))],
    ["generation_config.json", json(generation)],
    ["tokenizer.json", json(tokenizer(shape.vocabulary))],
    ["tokenizer_config.json", json(tokenizerConfig)],
    ["special_tokens_map.json", json(specialTokens)],
  ]);
}
