/**
 * The nano tokenizer and the chat layout of SAIL-VL2, in which there is no newline after `<|im_end|>`
 * (the nano scale leaves the system prompt out).
 *
 * @since 0.1.0
 */
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import * as E from 'fp-ts/lib/Either.js'
import { type Tokenizer, tokenizer } from '../formats/tokenizer.ts'

/** Visual tokens a nano picture: 8 × 8 patches after the 2 × 2 pixel shuffle. */
export const visualTokens = 16

/** Tokens that every conversation about a rendered picture fits into. */
export const maxSampleLength = 80

/** Thrown where a file that ships with the package is missing. */
export class AssetError extends Error {
  readonly tag = 'AssetMissing'
  constructor(file: string) {
    super(`the file ${file}, which ships with the package, is missing; install the package again`)
    this.name = 'AssetError'
  }
}

/** The path of a file under `assets/`, whether this module runs from source or built. */
export const assetPath = (file: string): string => {
  for (const up of ['../../', '../../../']) {
    const path = fileURLToPath(new URL(`${up}assets/${file}`, import.meta.url))
    if (existsSync(path)) return path
  }
  throw new AssetError(`assets/${file}`)
}

/** What the data floor needs of a tokenizer. */
export interface TextTokenizer {
  /** Token ids of a text; special tokens written in it are one id each, and none are added. */
  readonly encode: (text: string) => readonly number[]
  /** The text of token ids, special tokens included unless left out. */
  readonly decode: (ids: ArrayLike<number>, options?: { readonly skipSpecial?: boolean }) => string
  /** The id of one token. Throws RangeError where the vocabulary does not have it. */
  readonly id: (token: string) => number
  /** Rows that an embedding table must have at least. */
  readonly size: number
}

/** Any tokenizer as the data floor uses it. */
export const textTokenizer = (t: Tokenizer): TextTokenizer => ({
  encode: (text) => [...t.encode(text)],
  decode: t.decode,
  id: (token) => {
    const id = t.idOf(token)
    if (id === undefined) throw new RangeError(`the tokenizer has no token '${token}'`)
    return id
  },
  size: t.vocabSize,
})

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

/** The user's part of a conversation about `tiles` pictures, up to where the assistant begins to write. */
export const promptOf = (request: string, tiles: number): string => {
  const picture = `<img>${'<IMG_CONTEXT>'.repeat(visualTokens)}</img>\n`
  return `<|im_start|>user\n${picture.repeat(tiles)}${request}<|im_end|><|im_start|>assistant\n`
}
