/**
 * What data needs of a tokenizer.
 *
 * @since 0.1.0
 */
import type { Tokenizer, TokenizerFiles } from '../formats/index.ts'

/** A tokenizer as the data floor uses it. */
export interface TextTokenizer {
  /** Token ids of a text; special tokens written in it are one id each, and none are added. */
  readonly encode: (text: string) => readonly number[]
  /** Token ids of a text that somebody wrote: what spells a special token stays ordinary text. */
  readonly encodeText: (text: string) => readonly number[]
  /** The text of token ids, special tokens included unless left out. */
  readonly decode: (ids: ArrayLike<number>, options?: { readonly skipSpecial?: boolean }) => string
  /** The id of one token, undefined where the vocabulary does not have it. */
  readonly idOf: (token: string) => number | undefined
  /** The special tokens' texts: a row that spells one is a bad row. Default: none is known. */
  readonly special?: readonly string[]
  /** Rows that an embedding table must have at least. */
  readonly size: number
  /** The content of its files, where it has any: what an export writes beside a model's weights. */
  readonly files?: TokenizerFiles
}

/** Any tokenizer as the data floor uses it. */
export const textTokenizer = (t: Tokenizer): TextTokenizer => ({
  encode: (text) => [...t.encode(text)],
  encodeText: (text) => [...t.encode(text, { special: 'text' })],
  decode: t.decode,
  idOf: t.idOf,
  special: [...t.special.keys()],
  size: t.vocabSize,
  files: t.files,
})
