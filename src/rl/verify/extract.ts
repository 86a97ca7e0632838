/**
 * Where in a text the answer stands.
 *
 * @since 0.1.0
 */
import { lastBoxed, lastBoxes } from '../../text/index.ts'
import { parseAnswer } from './parse.ts'
import { bare } from './text.ts'
import { measured } from './units.ts'

/** Where an answer is looked for: in the last box alone, in the last boxes side by side, or anywhere. */
export type Where = 'box' | 'boxes' | 'anywhere'

/** An answer, and where it stood. */
export interface Extracted {
  readonly answer: string
  readonly from: 'box' | 'boxes' | 'tag' | '####' | 'sentence' | 'whole' | 'formula' | 'number' | 'letter'
}

/** The text after the reasoning: behind the last `</think>`, and before what ends the turn. */
export const afterThinking = (text: string, delimiter = '</think>'): string =>
  text.split('<|im_end|>')[0]!.split(delimiter).at(-1)!

/** What is read as an answer without a box, at most. */
const tail = 4_000
const longest = 400

const sentence = /(?:final answer|the answer|answer)\s*(?:is|:|=)+\s*/gi

/** A piece of a text, and where it ends. */
interface Place {
  readonly at: number
  readonly body: string
}

/** The last piece between two signs of a formula. */
const lastFormula = (text: string): Place | undefined => {
  const found: Place[] = []
  const dollars: number[] = []
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '\\' && text[i + 1] === '$') i++
    else if (text[i] === '$') dollars.push(i)
  }
  for (let i = dollars.length - 1; i > 0; i--) {
    const body = text.slice(dollars[i - 1]! + 1, dollars[i])
    // an odd number of signs before it: what stands here is between formulas
    if (body.trim() === '' || i % 2 === 0) continue
    found.push({ at: dollars[i]!, body })
    break
  }
  for (const [open, close] of [
    ['\\(', '\\)'],
    ['\\[', '\\]'],
  ] as const) {
    const end = text.lastIndexOf(close)
    const begin = end < 0 ? -1 : text.lastIndexOf(open, end)
    if (begin >= 0) found.push({ at: end, body: text.slice(begin + 2, end) })
  }
  return found.sort((a, b) => b.at - a.at)[0]
}

const numbers =
  /(?<![\p{L}\p{N}_.,])[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:\/\d+)?(?:\s?%|[a-z]{1,3}[²³]?(?![\p{L}\p{N}]))?/gu

const lastNumber = (text: string): Place | undefined => {
  const found = [...text.matchAll(numbers)].at(-1)
  return found === undefined ? undefined : { at: found.index + found[0].length, body: found[0] }
}

/** A text that is an answer as a whole: a formula, without words of a language. */
const isWhole = (text: string): boolean => {
  if (text === '' || text.length > longest) return false
  const unit = measured(text)
  if (parseAnswer(text) === undefined && (unit === undefined || parseAnswer(unit.number) === undefined))
    return false
  const plain = text.replaceAll(/\\[A-Za-z]+(?:\s*\{[^{}\\]*\})?/g, ' ')
  return !/[A-Za-z]{2,}\s+[A-Za-z]{2,}/.test(plain)
}

const cut = (text: string): string => {
  const line = text.split('\n')[0]!.trim()
  const formula = /^\$+[^$]+\$+|^\\\(.*?\\\)/.exec(line)?.[0]
  return (formula ?? line.replace(/\.\s.*$|\.$/s, '')).slice(0, longest).trim()
}

/**
 * The answer in a text, and where it stood; undefined where there is none.
 *
 * Anywhere means, in this order: the last boxes; an `<answer>` tag; what follows `####`; the whole text where it is a formula;
 * what follows the last "answer is" or "answer:"; the last formula or number; a last capital letter alone.
 */
export const extract = (text: string, where: Where = 'box'): Extracted | undefined => {
  if (where === 'box') {
    const answer = lastBoxed(text)
    return answer === null ? undefined : { answer, from: 'box' }
  }
  const boxes = lastBoxes(text)
  if (boxes.length > 0) return { answer: boxes.join(', '), from: boxes.length === 1 ? 'box' : 'boxes' }
  if (where === 'boxes') return undefined
  const end = text.slice(-tail)
  const close = end.lastIndexOf('</answer>')
  const open = close < 0 ? -1 : end.lastIndexOf('<answer>', close)
  if (open >= 0) return { answer: bare(end.slice(open + '<answer>'.length, close)), from: 'tag' }
  const hashes = end.lastIndexOf('####')
  if (hashes >= 0)
    return {
      answer: end
        .slice(hashes + 4)
        .split('\n')[0]!
        .trim(),
      from: '####',
    }
  const whole = bare(end)
  if (text.length <= tail && isWhole(whole)) return { answer: whole, from: 'whole' }
  const said = [...end.matchAll(sentence)].at(-1)
  if (said !== undefined) {
    const answer = cut(end.slice(said.index + said[0].length))
    if (answer !== '') return { answer: bare(answer), from: 'sentence' }
  }
  const formula = lastFormula(end)
  const number = lastNumber(end)
  if (formula !== undefined && (number === undefined || number.at <= formula.at))
    return { answer: formula.body.trim().slice(0, longest), from: 'formula' }
  if (number !== undefined) return { answer: number.body.trim(), from: 'number' }
  const letter = [...end.matchAll(/(?<![\p{L}\p{N}])([A-Z])(?![\p{L}\p{N}])/gu)].at(-1)?.[1]
  return letter === undefined ? undefined : { answer: letter, from: 'letter' }
}
