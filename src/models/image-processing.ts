/**
 * What a published folder says of how its model's images were made into numbers, `preprocessor_config.json`. Images are read in one
 * way here, so what says otherwise is refused: weights that were trained on other numbers would answer, and worse.
 *
 * @since 0.1.0
 */
import { join } from 'node:path'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { decodeConfig } from './config.ts'
import { readJson } from './config-file.ts'
import { type ConfigError, codec, only, optional, Word } from './config-words.ts'

const name = 'preprocessor_config.json'

/** Three numbers, those of ImageNet to what a file rounds. */
const imagenet = (values: readonly number[]) =>
  optional(
    new Word(
      `[${values.join(', ')}]`,
      (u): u is readonly number[] =>
        Array.isArray(u) && u.length === values.length && u.every((x, i) => Math.abs(x - values[i]!) < 1e-3),
      "images are normalised by ImageNet's mean and deviation, as SAIL-VL2's and InternVL's are",
      'Unsupported',
    ),
    undefined,
  )

const scale = optional(
  new Word(
    '1/255',
    (u): u is number => typeof u === 'number' && Math.abs(u - 1 / 255) < 1e-6,
    'pixels of 0 to 255 are divided by 255',
    'Unsupported',
  ),
  undefined,
)

const imageProcessing = codec(
  'image processor',
  {
    image_mean: imagenet([0.485, 0.456, 0.406]),
    image_std: imagenet([0.229, 0.224, 0.225]),
    do_normalize: only(true, 'images are normalised'),
    do_rescale: only(true, 'pixels of 0 to 255 are divided by 255'),
    rescale_factor: scale,
    resample: only(3, 'images are resized bicubically'),
  },
  () => ({}),
  () => ({}),
)

/** Sees that a folder's images were made into numbers as they are here; a folder without that file says nothing of it. */
export const checkedImages = (folder: string): TE.TaskEither<ConfigError, void> => {
  const file = join(folder, name)
  return pipe(
    readJson(file, '', '{}'),
    TE.chainEitherK((json) => decodeConfig(imageProcessing, json, file)),
    TE.map(() => undefined),
  )
}
