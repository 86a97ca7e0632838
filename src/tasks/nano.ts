/**
 * The nano scale's own model, tokenizer and processor: what the rendered tasks are laid out with.
 *
 * @since 0.1.0
 */
import { existsSync, readFileSync } from 'node:fs'
import * as E from 'fp-ts/lib/Either.js'
import { type Processor, processor, type TextTokenizer, textTokenizer } from '../data/index.ts'
import { tokenizer } from '../formats/index.ts'
import { nano as nanoConfig, sailVl2Model } from '../models/index.ts'
import { packageFile } from '../package/index.ts'

/** Tokens that every conversation about a rendered image of levels 1 to 3 fits into, without a thought. */
export const maxSampleLength = 80
/** Tokens that every conversation about a rendered image fits into, at any level, with its thought. */
export const maxThoughtLength = 100

/** Thrown where a file that ships with the package is missing. */
export class AssetError extends Error {
  readonly tag = 'AssetMissing'
  constructor(file: string) {
    super(`the file ${file}, which ships with the package, is missing; install the package again`)
    this.name = 'AssetError'
  }
}

/**
 * The path of a file under `assets/`.
 *
 * @throws AssetError where it is missing
 */
export const assetPath = (file: string): string => {
  const path = packageFile('assets', ...file.split('/'))
  if (!existsSync(path)) throw new AssetError(`assets/${file}`)
  return path
}

let nano: TextTokenizer | undefined

/** The nano tokenizer, read from the package's assets once. */
export const nanoTokenizer = (): TextTokenizer => {
  if (nano !== undefined) return nano
  const json = (file: string) => JSON.parse(readFileSync(assetPath(`nano/${file}`), 'utf8'))
  const made = tokenizer(json('tokenizer.json'), json('tokenizer_config.json'))
  if (E.isLeft(made)) throw made.left
  nano = textTokenizer(made.right)
  return nano
}

/** The nano SAIL-VL2: images of 112 × 112 pixels in 16 tokens (8 × 8 patches after the 2 × 2 pixel shuffle). */
export const nanoModel = sailVl2Model('nano', nanoConfig)

let layout: Processor | undefined

/** The processor of the nano model: its tokenizer, and SAIL-VL2's chat layout without a system prompt. */
export const nanoProcessor = (): Processor => {
  layout ??= processor(nanoTokenizer(), { image: nanoModel.image, thought: {} })
  return layout
}
