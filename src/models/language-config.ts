/** A language model's configuration in the words of transformers' Qwen3 and Qwen3-MoE. */
import * as t from 'io-ts'
import { present } from '../settings/internal.ts'
import { codec, count, flag, none, oneOf, only, optional, positive, unquantised } from './config-words.ts'
import { moeOf, moePublished, moeWords } from './moe-published.ts'
import type { Qwen3Config } from './qwen3.ts'

const plainRotary = 'rotary positions are built unscaled'

/** A factor that changes nothing where it is 1. */
const one = only(1, plainRotary)

/** A kind of scaling that scales nothing; a linear one does not where its factor is 1. */
const kind = optional(oneOf(['default', 'linear'], plainRotary, 'Unsupported'), undefined)

/**
 * What a file says of rotary positions, as `rope_parameters` or by the older name `rope_scaling`: the base, and a scaling,
 * which must be one that scales nothing. The kind stands at `rope_type`, in older files at `type`.
 */
const Rope = t.type({
  rope_theta: optional(positive('the base of the rotary frequencies'), undefined),
  rope_type: kind,
  type: kind,
  factor: one,
  partial_rotary_factor: one,
  mrope_section: none('positions have one number a token'),
})

/**
 * A language model: Qwen3's or Qwen3-MoE's `config.json`, or `llm_config` of a joined model. The base of the rotary frequencies may stand
 * at `rope_theta` or at `rope_parameters.rope_theta`; without `tie_word_embeddings` the head is untied, as in transformers.
 *
 * @category codecs
 */
export const languageConfig = codec(
  'language model',
  {
    model_type: optional(
      oneOf(['qwen3', 'qwen3_moe'], 'only Qwen3 models are built', 'Unsupported'),
      'qwen3' as const,
    ),
    ...moeWords,
    vocab_size: count('the rows of the embedding, 151936 in Qwen3'),
    hidden_size: count('the width of a token, 2048 in Qwen3-1.7B'),
    intermediate_size: count('the width inside the feed-forward block, 6144 in Qwen3-1.7B'),
    num_hidden_layers: count('the number of layers, 28 in Qwen3-1.7B'),
    num_attention_heads: count('the number of query heads, 16 in Qwen3-1.7B'),
    num_key_value_heads: count('the number of key-value heads, 8 in Qwen3'),
    head_dim: count('the width of a head, 128 in Qwen3; it is not hidden_size / num_attention_heads there'),
    rms_norm_eps: positive('the epsilon of the norms, 1e-6 in Qwen3'),
    rope_theta: optional(positive('the base of the rotary frequencies, 1000000 in Qwen3'), undefined),
    rope_parameters: optional(Rope, undefined),
    rope_scaling: optional(Rope, undefined),
    partial_rotary_factor: one,
    tie_word_embeddings: flag('whether the head shares the embedding', false),
    attention_bias: only(false, 'attention is built without biases'),
    hidden_act: only('silu', 'the feed-forward block is a SwiGLU'),
    use_sliding_window: only(false, 'every layer attends to all earlier tokens'),
    quantization_config: unquantised,
  },
  (w): Qwen3Config | readonly [string, string] => {
    // as in transformers: what stands nearer to the rotary positions holds, for converters leave a class default at the top
    const theta = w.rope_parameters?.rope_theta ?? w.rope_scaling?.rope_theta ?? w.rope_theta
    if (theta === undefined)
      return ['rope_theta', 'is missing; add it: the base of the rotary frequencies, 1000000 in Qwen3']
    if (w.num_attention_heads % w.num_key_value_heads !== 0)
      return [
        'num_key_value_heads',
        `is ${w.num_key_value_heads}, which does not divide num_attention_heads ${w.num_attention_heads}; change one of them`,
      ]
    if (w.head_dim % 2 !== 0)
      return ['head_dim', `is ${w.head_dim}; rotary positions turn pairs, so make it even`]
    if (w.model_type === 'qwen3' && (w.num_experts ?? w.num_local_experts) !== undefined)
      return ['model_type', 'is "qwen3", and the file has experts; write "qwen3_moe"']
    const moe = w.model_type === 'qwen3_moe' ? moeOf(w, w.num_hidden_layers) : undefined
    if (moe !== undefined && !('experts' in moe)) return moe
    return {
      vocabSize: w.vocab_size,
      hiddenSize: w.hidden_size,
      intermediateSize: w.intermediate_size,
      layers: w.num_hidden_layers,
      heads: w.num_attention_heads,
      kvHeads: w.num_key_value_heads,
      headDim: w.head_dim,
      ropeTheta: theta,
      epsilon: w.rms_norm_eps,
      tied: w.tie_word_embeddings,
      ...present({ moe }),
    }
  },
  (c) => ({
    architectures: [c.moe === undefined ? 'Qwen3ForCausalLM' : 'Qwen3MoeForCausalLM'],
    model_type: c.moe === undefined ? 'qwen3' : 'qwen3_moe',
    ...(c.moe === undefined ? {} : moePublished(c.moe)),
    vocab_size: c.vocabSize,
    hidden_size: c.hiddenSize,
    intermediate_size: c.intermediateSize,
    num_hidden_layers: c.layers,
    num_attention_heads: c.heads,
    num_key_value_heads: c.kvHeads,
    head_dim: c.headDim,
    hidden_act: 'silu',
    rms_norm_eps: c.epsilon,
    rope_theta: c.ropeTheta,
    rope_scaling: null,
    tie_word_embeddings: c.tied,
    attention_bias: false,
    attention_dropout: 0,
    use_sliding_window: false,
  }),
)
