/**
 * Configurations in the words of a published `config.json`: AIMv2's for the vision encoder, transformers' Qwen3 and
 * Qwen3-MoE for the language model, and InternVL's `vision_config` and `llm_config` for the two joined, as SAIL-VL2's are.
 *
 * Keys that change nothing here (dropout, cache, dtype, token ids, …) are passed over. Keys that would change the model's
 * numbers in a way that it is not built for (biases, sliding windows, scaled rotary positions, an earlier layer of
 * the encoder) are refused. How fresh weights are filled is no published word, and is left out.
 *
 * @since 0.1.0
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import * as t from 'io-ts'
import { parseJson, quote } from '../formats/index.ts'
import { anyResolutionOf, anyResolutionPublished, anyResolutionWords } from './any-resolution-published.ts'
import {
  ConfigError,
  codec,
  count,
  errorOf,
  isBoolean,
  only,
  optional,
  positive,
  Word,
} from './config-words.ts'
import { moeOf, moePublished, moeWords } from './moe-published.ts'
import type { Preset } from './presets.ts'
import type { Qwen3Config } from './qwen3.ts'
import type { SailVitConfig } from './sail-vit.ts'
import type { SailVl2Config } from './sail-vl2.ts'

export { ConfigError, type ConfigErrorTag } from './config-words.ts'

// --- the three models ---------------------------------------------------------------------------------------

const isNone = (u: unknown): u is undefined => u === undefined

/** Weights that were made smaller mean nothing without what makes them large again. */
const unquantised = optional(
  new Word(
    'null',
    isNone,
    'weights are read as they are: take the model as it was before it was quantised',
    'Unsupported',
  ),
  undefined,
)

const noBias = 'the encoder is built without biases on these maps'

/**
 * A vision encoder: AIMv2's `config.json`, or `vision_config` of a joined model.
 *
 * @category codecs
 */
export const visionConfig = codec(
  'vision encoder',
  {
    model_type: optional(
      new Word(
        '"aimv2", "aimv2_vision_model" or "sailvit"',
        (u): u is 'aimv2' | 'aimv2_vision_model' | 'sailvit' =>
          u === 'aimv2' || u === 'aimv2_vision_model' || u === 'sailvit',
        'only SAIL-ViT, which is an AIMv2, is built',
        'Unsupported',
      ),
      undefined,
    ),
    image_size: count('the side of an image in pixels, 448 in AIMv2-Huge-448'),
    patch_size: count('the side of a patch in pixels, 14 in AIMv2'),
    hidden_size: count('the width of a token, 1536 in AIMv2-Huge'),
    intermediate_size: count('the width inside the feed-forward block, 4096 in AIMv2-Huge'),
    num_hidden_layers: count('the number of blocks, 24 in AIMv2-Huge'),
    num_attention_heads: count('the number of heads, 12 in AIMv2-Huge'),
    rms_norm_eps: positive('the epsilon of the norms, 1e-5 in AIMv2'),
    num_channels: only(3, 'images have three colour channels'),
    qkv_bias: only(false, noBias),
    use_bias: only(false, noBias),
    mlp_bias: only(false, noBias),
    hidden_act: only('silu', 'the feed-forward block is a SwiGLU'),
    is_native: only(false, 'positions are learned or rotary, and not fixed sines'),
    quantization_config: unquantised,
    ...anyResolutionWords,
  },
  (w): SailVitConfig | readonly [string, string] => {
    if (w.image_size % w.patch_size !== 0)
      return [
        'patch_size',
        `is ${w.patch_size}, which does not divide image_size ${w.image_size}; patches tile the image, so change one of them`,
      ]
    if (w.hidden_size % w.num_attention_heads !== 0)
      return [
        'num_attention_heads',
        `is ${w.num_attention_heads}, which does not divide hidden_size ${w.hidden_size}; change one of them`,
      ]
    const anyResolution = anyResolutionOf(w, w.hidden_size / w.num_attention_heads)
    if (anyResolution !== undefined && !('positions' in anyResolution)) return anyResolution
    return {
      imageSize: w.image_size,
      patchSize: w.patch_size,
      hiddenSize: w.hidden_size,
      intermediateSize: w.intermediate_size,
      layers: w.num_hidden_layers,
      heads: w.num_attention_heads,
      epsilon: w.rms_norm_eps,
      ...(anyResolution === undefined ? {} : { anyResolution }),
    }
  },
  (c) => ({
    model_type: 'aimv2',
    image_size: c.imageSize,
    patch_size: c.patchSize,
    num_channels: 3,
    hidden_size: c.hiddenSize,
    intermediate_size: c.intermediateSize,
    num_hidden_layers: c.layers,
    num_attention_heads: c.heads,
    rms_norm_eps: c.epsilon,
    qkv_bias: false,
    use_bias: false,
    attention_dropout: 0,
    projection_dropout: 0,
    ...(c.anyResolution === undefined ? {} : anyResolutionPublished(c.anyResolution)),
  }),
)

const flag = (todo: string, otherwise: boolean) =>
  optional(new Word('true or false', isBoolean, todo), otherwise)

const plainRotary = 'rotary positions are built unscaled'

/** A factor that changes nothing where it is 1. */
const one = only(1, plainRotary)

/** A kind of scaling that scales nothing; a linear one does not where its factor is 1. */
const kind = optional(
  new Word(
    '"default" or "linear"',
    (u): u is 'default' | 'linear' => u === 'default' || u === 'linear',
    plainRotary,
    'Unsupported',
  ),
  undefined,
)

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
  mrope_section: optional(
    new Word('null', isNone, 'positions have one number a token', 'Unsupported'),
    undefined,
  ),
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
      new Word(
        '"qwen3" or "qwen3_moe"',
        (u): u is 'qwen3' | 'qwen3_moe' => u === 'qwen3' || u === 'qwen3_moe',
        'only Qwen3 models are built',
        'Unsupported',
      ),
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
      ...(moe === undefined ? {} : { moe }),
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

/**
 * A vision-language model: `vision_config`, `llm_config` and how the adapter joins them. Without `ps_version` the pixel
 * shuffle's order is `v1`, the default of the published class; what is written always says which. With `dynamic_image_size`
 * images are cut into tiles, 6 at most where the file does not say.
 *
 * @category codecs
 */
export const visionLanguageConfig = codec(
  'vision-language model',
  {
    vision_config: visionConfig,
    llm_config: languageConfig,
    quantization_config: unquantised,
    downsample_ratio: only(0.5, 'the adapter folds 2 × 2 tokens into one'),
    ps_version: optional(
      new Word(
        '"v1" or "v2"',
        (u): u is 'v1' | 'v2' => u === 'v1' || u === 'v2',
        'the token order after the pixel shuffle',
      ),
      'v1' as const,
    ),
    select_layer: only(-1, 'the adapter reads the output of the last norm'),
    force_image_size: optional(count('the side that images are brought to, which is image_size'), undefined),
    pad2square: only(false, 'images are stretched to a tile and not padded'),
    dynamic_image_size: flag('whether images are cut into tiles', false),
    use_thumbnail: flag('whether the whole image follows its tiles', false),
    min_dynamic_patch: optional(count('the fewest tiles of an image'), 1),
    max_dynamic_patch: optional(count('the most tiles of an image'), 6),
  },
  (w): SailVl2Config | readonly [string, string] => {
    const side = w.vision_config.imageSize / w.vision_config.patchSize
    if (side % 2 !== 0)
      return [
        'vision_config.image_size',
        `is ${w.vision_config.imageSize}, which gives ${side} × ${side} patches; the adapter folds 2 × 2 of them, so the side must be even`,
      ]
    if (w.vision_config.anyResolution !== undefined && w.ps_version === 'v1')
      return ['ps_version', 'is "v1" or missing; images of any size are folded in the order "v2"']
    const { imageSize, anyResolution } = w.vision_config
    if (w.force_image_size !== undefined && w.force_image_size !== imageSize)
      return [
        'force_image_size',
        `is ${w.force_image_size}, and vision_config.image_size is ${imageSize}; images are read at the encoder's size alone`,
      ]
    const [least, most] = [w.min_dynamic_patch, w.max_dynamic_patch]
    if (w.dynamic_image_size && anyResolution !== undefined)
      return ['dynamic_image_size', 'is true, and the encoder reads images of any size uncut; make it false']
    if (w.dynamic_image_size && least > most)
      return ['min_dynamic_patch', `is ${least}, and max_dynamic_patch is ${most}; change one of them`]
    return {
      ...{ vision: w.vision_config, language: w.llm_config, order: w.ps_version },
      ...(w.dynamic_image_size ? { tiling: { least, most, thumbnail: w.use_thumbnail } } : {}),
    }
  },
  (c) => ({
    model_type: 'sailvl',
    vision_config: visionConfig.encode(c.vision),
    llm_config: languageConfig.encode(c.language),
    downsample_ratio: 0.5,
    ps_version: c.order ?? 'v2',
    select_layer: -1,
    force_image_size: c.vision.imageSize,
    dynamic_image_size: c.tiling !== undefined,
    ...(c.tiling === undefined
      ? {}
      : {
          ...{ min_dynamic_patch: c.tiling.least, max_dynamic_patch: c.tiling.most },
          use_thumbnail: c.tiling.thumbnail,
        }),
  }),
)

// --- reading and writing --------------------------------------------------------------------------------------

/** A `config.json` in published words: what {@link toPublished} gives. */
export type PublishedConfig =
  | t.OutputOf<typeof visionConfig>
  | t.OutputOf<typeof languageConfig>
  | t.OutputOf<typeof visionLanguageConfig>

/**
 * Reads one kind of configuration from parsed JSON.
 *
 * @param file how messages call it
 * @category reading
 */
export const decodeConfig = <C>(
  kind: t.Decoder<unknown, C>,
  json: unknown,
  file = 'config.json',
): E.Either<ConfigError, C> =>
  pipe(
    kind.decode(json),
    E.mapLeft((errors) => errorOf(errors, file)),
  )

const has = (json: unknown, key: string): boolean =>
  typeof json === 'object' && json !== null && Object.hasOwn(json, key)

/** The configuration of a model of another layout, in which the language model's is called otherwise. */
const otherLayout = (json: unknown, file: string): ConfigError =>
  new ConfigError(
    'Unsupported',
    file,
    'text_config',
    `is that of another layout${has(json, 'model_type') ? ` (${quote((json as { readonly model_type: unknown }).model_type)})` : ''}; of models that see those are read that have vision_config and llm_config, as SAIL-VL2 and InternVL publish them`,
  )

/**
 * Reads whichever of the three kinds parsed JSON is: with `llm_config` or `vision_config` a vision-language model, with
 * `vocab_size` a language model, else a vision encoder.
 *
 * @category reading
 */
export const fromPublished = (json: unknown, file = 'config.json'): E.Either<ConfigError, Preset> =>
  has(json, 'text_config') && !has(json, 'llm_config')
    ? E.left(otherLayout(json, file))
    : has(json, 'llm_config') || has(json, 'vision_config')
      ? pipe(
          decodeConfig(visionLanguageConfig, json, file),
          E.map((config): Preset => ({ kind: 'vision-language', config })),
        )
      : has(json, 'vocab_size')
        ? pipe(
            decodeConfig(languageConfig, json, file),
            E.map((config): Preset => ({ kind: 'language', config })),
          )
        : pipe(
            decodeConfig(visionConfig, json, file),
            E.map((config): Preset => ({ kind: 'vision', config })),
          )

/**
 * A model's `config.json` in published words; {@link fromPublished} reads it back. Token ids are the tokenizer's and not
 * the model's: a writer that knows them adds `img_context_token_id`, `bos_token_id`, ….
 *
 * @category writing
 */
export const toPublished = (model: Preset): PublishedConfig => {
  switch (model.kind) {
    case 'vision':
      return visionConfig.encode(model.config)
    case 'language':
      return languageConfig.encode(model.config)
    case 'vision-language':
      return visionLanguageConfig.encode(model.config)
  }
}

/**
 * Reads the `config.json` of a model's folder.
 *
 * @category reading
 */
export const readConfig = (folder: string): TE.TaskEither<ConfigError, Preset> => {
  const file = join(folder, 'config.json')
  return pipe(
    TE.tryCatch(
      () => readFile(file, 'utf8'),
      (e) =>
        new ConfigError(
          'Io',
          file,
          '',
          `cannot be read (${(e as NodeJS.ErrnoException).code ?? String(e)}); give the folder of a published model`,
        ),
    ),
    TE.chainEitherK((text) =>
      pipe(
        parseJson(text),
        E.mapLeft(
          (why) => new ConfigError('BadJson', file, '', `is no JSON (${why}); mend or fetch it again`),
        ),
      ),
    ),
    TE.chainEitherK((json) => fromPublished(json, file)),
  )
}
