/**
 * The option that a text chooses.
 *
 * @since 0.1.0
 */
import { bare, plainWords } from './text.ts'

/** Options of a question: texts by letter. */
export type Choices = Readonly<Record<string, string>>

const wrapped =
  /^(?:[Oo]ption\s+)?(?:\\(?:text|textbf|mathrm|mathbf)\s*\{)?\s*[([{]?\s*([A-Z])\s*[)\]}]?\s*[.:]?\s*\}?[.:]?$/

/** The capital letter that a short answer is, whatever stands around it: `(C)`, `C.`, `\text{(C)}`. */
export const letterOf = (text: string): string | undefined => wrapped.exec(bare(text))?.[1]

const escaped = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')

/** An answer with the letter of its option before it. */
export interface Labelled {
  readonly letter: string
  readonly rest: string
}

const label =
  /^(?:\\(?:text|textbf|mathrm|mathbf)\s*\{\s*)?(?:\(([A-Z])\)|\[([A-Z])\]|([A-Z])[).:])\s*\}?(?:\\[ ,]|\\q?quad|[~\s])*(\S.*)$/s

/** An answer as an option: `(B) 12`, `\textbf{(B)}\ 12`, `B. 12`. Undefined where it is none, or several. */
export const labelled = (text: string): Labelled | undefined => {
  const [, round, square, plain, rest] = label.exec(bare(text)) ?? []
  const letter = round ?? square ?? plain
  if (letter === undefined || rest === undefined || /(?<![A-Za-z])[A-Z](?:[).:\]]|$)/.test(rest))
    return undefined
  return { letter, rest }
}

/** Whether another of the letters is offered right behind one: "A or B", "A, B", "A) B)". */
const hedged = (behind: string, letter: string, letters: readonly string[]): boolean => {
  const next =
    /^\s*[)\]}.:*$]*\s*(?:,|\/|&|\bor\b|\band\b|或|和|、)\s*(?:or\s|and\s)?[([{*$]*([A-Z])(?![A-Za-z'’])/i.exec(
      behind,
    ) ?? /^\s*[)\].:]\s*[([]?([A-Z])[)\].:]/.exec(behind)
  return next !== null && next[1] !== letter && letters.includes(next[1]!)
}

/** Whether the words stand in a text as whole words. */
const mentions = (text: string, words: string): boolean =>
  words !== '' && new RegExp(`(?<![\\p{L}\\p{N}.])${escaped(words)}(?![\\p{L}\\p{N}]|\\.\\d)`, 'u').test(text)

/**
 * The letter that a text chooses: alone or before its option (`B`, `(B)`, `B. a bicycle`), after the last "answer is" or
 * `答案：`, as the only letter that it names, or as the only option whose words it has. Null where it chooses none, or more.
 * What stands before `</think>` does not count.
 *
 * @example
 * choiceOf('The answer is (B).', { A: 'a car', B: 'a bicycle' }) // 'B'
 * choiceOf('a car or a bicycle', { A: 'a car', B: 'a bicycle' }) // null
 *
 * @category verifiers
 */
export const choiceOf = (text: string, choices: Choices): string | null => {
  const letters = Object.keys(choices)
  const spoken = text.split('</think>').at(-1)!.trim()
  const known = (letter: string | undefined): string | null =>
    letter !== undefined && letters.includes(letter) ? letter : null
  const alone = known(letterOf(spoken))
  if (alone !== null) return alone
  const words = plainWords(spoken)
  const exact = letters.filter((letter) => plainWords(choices[letter]!) === words)
  if (exact.length === 1) return exact[0]!
  const small = known(/^[([]?([a-z])[)\]]?[.:]?$/.exec(words)?.[1]?.toUpperCase())
  if (small !== null) return small
  const leads = /^[([]?([A-Z])(?=[)\].:,]\s)/.exec(spoken)
  const leading = known(leads?.[1])
  if (leading !== null) {
    const begun = new Set(
      [...spoken.matchAll(/^\s*[([]?([A-Z])[)\].:]/gm)].map(([, letter]) => known(letter)),
    )
    begun.delete(null)
    // two letters, or the options said over again
    if (begun.size > 1 || hedged(spoken.slice(leads![0].length), leading, letters)) return null
    return leading
  }
  const said = [
    ...spoken.matchAll(
      /(?:answer\s*(?:is|:)?|option|choice|答案(?:是|：|:)?)\s*[:：]?\s*[*([{$]{0,4}([A-Z])(?![A-Za-z'’])/giu,
    ),
  ].at(-1)
  const saidLetter = known(said?.[1])
  if (saidLetter !== null)
    return hedged(spoken.slice(said!.index + said![0].length), saidLetter, letters) ? null : saidLetter
  const named = letters.filter((letter) =>
    new RegExp(`(?<![A-Za-z'’])${escaped(letter)}(?![A-Za-z'’])`).test(spoken),
  )
  // "A" begins many a sentence, and is a letter only where nothing follows it
  const letter = named.length === 1 && !(named[0] === 'A' && /\bA\s+[a-z]/.test(spoken)) ? named[0]! : null
  if (letter !== null) return letter
  const quoted = letters.filter((l) => mentions(words, plainWords(choices[l]!)))
  if (quoted.length === 1) return quoted[0]!
  // "a cat" stands in "a cat and a dog"
  const longest = quoted.reduce((x, y) => (choices[y]!.length > choices[x]!.length ? y : x), quoted[0] ?? '')
  const without = longest === '' ? words : words.replaceAll(plainWords(choices[longest]!), ' ')
  return longest !== '' && !quoted.some((l) => l !== longest && mentions(without, plainWords(choices[l]!)))
    ? longest
    : null
}
