/**
 * A tokenizer's added tokens: where a text contains them, by the rules of the Rust library `tokenizers`.
 *
 * @since 0.1.0
 */

/** One of `added_tokens` in a tokenizer.json. */
export interface AddedToken {
  readonly id: number
  readonly content: string
  readonly special?: boolean
  readonly normalized?: boolean
  /** Found only where no character of a word stands beside it. */
  readonly single_word?: boolean
  /** Takes the white space before it, or after it, with it. */
  readonly lstrip?: boolean
  readonly rstrip?: boolean
}

/** How special tokens that are written in a text are read: as these tokens, or as the characters that they are. */
export type Special = 'parse' | 'text'

/** A stretch of text, or the id of an added token. */
export type Part = string | number

/** What the Rust library takes for a character of a word: Unicode's own definition of `\w` (UTS 18, annex C). */
export const wordCharacters: string = String.raw`\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\u200c\u200d`

const wordBefore = new RegExp(`[${wordCharacters}]$`, 'u')
const wordAfter = new RegExp(`^[${wordCharacters}]`, 'u')
const space = /^\p{White_Space}$/u

/** Whether a character of a word stands right before or after a stretch; a character has up to two code units. */
const besideWord = (text: string, begin: number, end: number): boolean =>
  wordBefore.test(text.slice(Math.max(0, begin - 2), begin)) || wordAfter.test(text.slice(end, end + 2))

const escaped = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')

/** Finds any of some words, the longest of those that begin at one place; undefined where there is no word. */
export const anyOf = (words: Iterable<string>): RegExp | undefined => {
  const sought = [...words].filter((w) => w !== '')
  // alternatives are tried in their order
  const longestFirst = sought.sort((a, b) => b.length - a.length).map(escaped)
  return sought.length === 0 ? undefined : new RegExp(longestFirst.join('|'), 'gu')
}

/** Splits a text into stretches and added tokens. */
export type Splitter = (text: string, special: Special) => readonly Part[]

/**
 * Splits texts at added tokens: leftmost first, the longest of those that begin at one place. A find that its token's
 * rules refuse is passed over whole.
 *
 * @param tokens what to look for, by the text that it has there
 */
export const splitter = (tokens: ReadonlyMap<string, AddedToken>): Splitter => {
  const any = anyOf(tokens.keys())
  if (any === undefined) return (text) => (text === '' ? [] : [text])
  return (text, special) => {
    const parts: Part[] = []
    let done = 0
    for (const found of text.matchAll(any)) {
      const token = tokens.get(found[0])!
      if (special === 'text' && token.special === true) continue
      let begin = found.index
      let end = begin + found[0].length
      if (token.single_word === true && besideWord(text, begin, end)) continue
      if (token.lstrip === true) while (begin > done && space.test(text[begin - 1]!)) begin--
      if (token.rstrip === true) while (end < text.length && space.test(text[end]!)) end++
      if (done < begin) parts.push(text.slice(done, begin))
      parts.push(token.id)
      done = end
    }
    if (done < text.length) parts.push(text.slice(done))
    return parts
  }
}
