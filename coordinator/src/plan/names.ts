// What a tensor's name says: the layer it belongs to, whether it is an embedding or an output head.
// Names are all there is to go by, so that a model type nobody has seen plans like a known one.

export interface LayerName {
  /** Text before ".N.", e.g. "model.layers". */
  readonly prefix: string;
  readonly layer: number;
  /** Text after ".N.". */
  readonly suffix: string;
}

const LAYER = /\.(\d+)\./;
/** A larger number is no layer number: it would only make loops long. */
const LAYER_MAX = 999_999;

/** Splits at the first ".digits."; later numbers (experts) stay part of the suffix. */
export function splitLayer(name: string): LayerName | null {
  const match = LAYER.exec(name);
  if (match === null) return null;
  const layer = Number(match[1]);
  if (layer > LAYER_MAX) return null;
  return {
    prefix: name.slice(0, match.index),
    layer,
    suffix: name.slice(match.index + match[0].length),
  };
}

export function layerTensorName(prefix: string, layer: number, suffix: string): string {
  return `${prefix}.${layer}.${suffix}`;
}

/** The name with its layer number taken out: equal for the same tensor of every layer. */
export function templateOf(name: string, layer: LayerName | null): string {
  return layer === null ? name : `${layer.prefix}.*.${layer.suffix}`;
}

const HEAD = /^(?:.+\.)?(?:lm_head|embed_out|output_layer)\.weight$/;
/** "output" is too common a word to be believed anywhere but at the top of a language model. */
const PLAIN_OUTPUT_HEAD = /^(?:(?:language_model|model)\.)*output\.weight$/;
const HEAD_PART = /(?:^|\.)(?:lm_head|embed_out|output_layer)(?:\.|$)/;
const EMBEDDING_PART = /(?:^|\.)(?:wte|wpe|embd|tok_embeddings|word_embeddings)(?:\.|$)/;
const INPUT_EMBEDDING =
  /(?:^|\.)(?:embed_tokens|wte|tok_embeddings|word_embeddings|embed_in|embeddings)\.weight$/;

/** The matrix that turns hidden states into token scores. */
export function isHeadName(name: string): boolean {
  return (HEAD.test(name) || PLAIN_OUTPUT_HEAD.test(name)) && splitLayer(name) === null;
}

/** Tensors before the first layer: tokens, positions, token types. */
export function isEmbeddingName(name: string): boolean {
  if (HEAD_PART.test(name) || splitLayer(name) !== null) return false;
  return name.includes("embed") || EMBEDDING_PART.test(name);
}

/** The token embedding matrix, which a tied model also uses as its output head. */
export function isInputEmbeddingName(name: string): boolean {
  return INPUT_EMBEDDING.test(name) && splitLayer(name) === null;
}
