/**
 * What data needs of a tokenizer.
 *
 * @since 0.1.0
 */
import type { Tokenizer } from '../formats/tokenizer.ts'

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
  /** Rows that an embedding table must have at least. */
  readonly size: number
}

/** Any tokenizer as the data floor uses it. */
export const textTokenizer = (t: Tokenizer): TextTokenizer => {
  const special = [...t.special.keys()].filter((s) => s !== '').sort((a, b) => b.length - a.length)
  const encode = (text: string): readonly number[] => [...t.encode(text)]
  // a control token that is cut in two is none
  const cuts = (text: string): readonly string[] => {
    const pieces: string[] = []
    let from = 0
    for (let at = 0; at < text.length; ) {
      const found = special.find((s) => s.length > 1 && text.startsWith(s, at))
      if (found === undefined) at++
      else {
        pieces.push(text.slice(from, at + 1))
        from = at + 1
        at += found.length
      }
    }
    return [...pieces, text.slice(from)]
  }
  return {
    encode,
    encodeText: (text) => cuts(text).flatMap((piece) => (piece === '' ? [] : encode(piece))),
    decode: t.decode,
    idOf: t.idOf,
    size: t.vocabSize,
  }
}
