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
import { join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import type * as t from 'io-ts'
import { quote } from '../formats/index.ts'
import { readJson } from './config-file.ts'
import {
  ConfigError,
  codec,
  count,
  errorOf,
  flag,
  oneOf,
  only,
  optional,
  unquantised,
} from './config-words.ts'
import { languageConfig } from './language-config.ts'
import type { Preset } from './presets.ts'
import type { SailVl2Config } from './sail-vl2.ts'
import { visionConfig } from './vision-config.ts'

export { ConfigError, type ConfigErrorTag } from './config-words.ts'
export { languageConfig } from './language-config.ts'
export { visionConfig } from './vision-config.ts'

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
    ps_version: optional(oneOf(['v1', 'v2'], 'the token order after the pixel shuffle'), 'v1' as const),
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

/** What an encoder's configuration cannot be without: where neither it nor a published model's type stands, it is no encoder's. */
const encoderWords = ['model_type', 'image_size', 'patch_size']

/** The configuration of a model that an experiment makes itself, as its export writes it. */
const ownModel = (json: unknown, file: string): ConfigError =>
  new ConfigError(
    'Unsupported',
    file,
    'kind',
    `is ${quote((json as { readonly kind: unknown }).kind)}, which an experiment's own file makes and no published model is; name the run that trained it, or a checkpoint in it`,
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
        : has(json, 'kind') && !encoderWords.some((key) => has(json, key))
          ? E.left(ownModel(json, file))
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
    readJson(file, '; give the folder of a published model'),
    TE.chainEitherK((json) => fromPublished(json, file)),
  )
}
