/**
 * Whether a given answer is the true one: by its words, its option letter, its mathematics, its unit.
 *
 * @since 0.1.0
 */
import { onlySettings } from '../../settings/index.ts'
import { labelled, letterOf } from './choice.ts'
import type { Node } from './expression.ts'
import { parseAnswer } from './parse.ts'
import { sameTree } from './same-tree.ts'
import { bare, plainWords } from './text.ts'
import { conversion, type Measured, measured } from './units.ts'

/** What `28%` is: a hundredth of 28, or 28 itself, or whichever is right. */
export type Percent = 'hundredth' | 'dropped' | 'either'

/** How answers are compared. */
export interface SameAnswerOptions {
  /** Digits behind its first one to which a decimal stands for a number without an end in decimals; default 6. */
  readonly decimals?: number
  /** Default `either`, as the public graders differ. */
  readonly percent?: Percent
}

/** Longer answers are compared character by character. */
const longest = 10_000

/** What an answer was found to be. */
export type Comparison =
  | { readonly same: true; readonly by: 'text' | 'letter' | 'mathematics' | 'unit' }
  | { readonly same: false; readonly read: boolean }

/** The tree with its outer percent sign read so. */
const readings = (node: Node, percent: Percent): readonly Node[] => {
  if (node.t !== 'percent') return [node]
  if (percent === 'hundredth') return [node]
  return percent === 'dropped' ? [node.of] : [node, node.of]
}

/** `2e-1` may be a fifth, or one less than twice Euler's number: whichever is right. */
const spellings = (text: string): readonly string[] => {
  const product = text.replaceAll(/(?<=\d)e(?=[+-]\d)/g, ' e')
  return product === text ? [text] : [text, product]
}

const sameFormula = (truth: string, given: string, o: Required<SameAnswerOptions>): boolean =>
  truth === given || spellings(truth).some((a) => spellings(given).some((b) => sameSpelling(a, b, o)))

const sameSpelling = (truth: string, given: string, o: Required<SameAnswerOptions>): boolean => {
  const [a, b] = [parseAnswer(truth), parseAnswer(given)]
  if (a === undefined || b === undefined) return false
  if (a.t === 'percent' && b.t === 'percent') return sameTree(a.of, b.of, o.decimals)
  return readings(a, o.percent).some((x) => readings(b, o.percent).some((y) => sameTree(x, y, o.decimals)))
}

const asPercent = ({ number, unit }: Measured): string => (unit === 'percent' ? `(${number})%` : number)

/** With their units: one side's alone is left out, two must measure the same. */
const sameMeasure = (truth: string, given: string, o: Required<SameAnswerOptions>): boolean => {
  const [a, b] = [measured(truth), measured(given)]
  if (a === undefined && b === undefined) return false
  if (a === undefined || b === undefined) {
    const [left, right] = [a === undefined ? truth : asPercent(a), b === undefined ? given : asPercent(b)]
    return sameFormula(left, right, o)
  }
  if (a.unit === 'percent' || b.unit === 'percent') return sameFormula(asPercent(a), asPercent(b), o)
  const factor = conversion(b, a)
  if (factor === undefined) return false
  return sameFormula(a.number, factor === '' ? b.number : `(${b.number})${factor}`, o)
}

/** Whether an answer can be read as mathematics, with or without a unit. */
export const isFormula = (text: string): boolean => {
  const inside = bare(text)
  const unit = measured(inside)
  return parseAnswer(inside) !== undefined || (unit !== undefined && parseAnswer(unit.number) !== undefined)
}

const decided = (same: boolean): Comparison => (same ? { same, by: 'letter' } : { same, read: true })

/**
 * Whether a given answer is the true one. Both without `\boxed` around. In this order: the same words; the same option
 * letter, where the truth is one; the same mathematics; the same but for a unit that one side has alone, or in another
 * unit of the same quantity. Numbers are compared exactly where both are fractions, expressions by their values at points;
 * lists and sets in any order, tuples in theirs, intervals with their ends, ratios by their proportions. Dates, times of day
 * (`12:30`; a ratio is in lowest terms) and what is too large to be read are compared as words. Not read as mathematics, so
 * right by the same words alone: several units in one answer (`2 h 30 min`), degrees with minutes, sets of expressions such
 * as `{2n : n ∈ Z}`, other letters for the same symbol, `cis`, `C(n, k)`.
 *
 * @example
 * sameAnswer('\\frac{1}{2}', '0.5').same // true
 * sameAnswer('(1,2)', '[1,2]').same // false
 *
 * @category verifiers
 */
export const sameAnswer = (truth: string, given: string, options: SameAnswerOptions = {}): Comparison => {
  onlySettings('sameAnswer', options, ['decimals', 'percent'])
  const o = { decimals: options.decimals ?? 6, percent: options.percent ?? 'either' }
  if (truth.length > longest || given.length > longest)
    return truth === given ? { same: true, by: 'text' } : { same: false, read: false }
  const [a, b] = [bare(truth), bare(given)]
  if (b === '') return { same: a === '', ...(a === '' ? { by: 'text' } : { read: false }) } as Comparison
  if (a === b || (plainWords(a) === plainWords(b) && plainWords(a) !== '')) return { same: true, by: 'text' }
  const letter = letterOf(a)
  if (letter !== undefined && letter === letterOf(b)) return { same: true, by: 'letter' }
  const [option, chosen] = [labelled(a), labelled(b)]
  if (option !== undefined && chosen !== undefined)
    return option.letter === chosen.letter
      ? sameAnswer(option.rest, chosen.rest, options)
      : { same: false, read: true }
  // one side alone has its option's letter, or nothing else
  if (letter !== undefined && chosen !== undefined) return decided(letter === chosen.letter)
  if (option !== undefined && letterOf(b) !== undefined) return decided(option.letter === letterOf(b))
  if (option !== undefined) return sameAnswer(option.rest, b, options)
  if (chosen !== undefined) return sameAnswer(a, chosen.rest, options)
  if (sameFormula(a, b, o)) return { same: true, by: 'mathematics' }
  if (sameMeasure(a, b, o)) return { same: true, by: 'unit' }
  return { same: false, read: isFormula(b) }
}
