/**
 * What the workers run: pure functions of plain data, by name.
 *
 * @since 0.1.0
 */

import { lastBoxed } from '../../text/index.ts'
import { type Choices, choiceOf } from './choice.ts'
import { afterThinking, extract, type Where } from './extract.ts'
import { iou, type Region, regionIn, regionInPixels } from './region.ts'
import { type RelaxedOptions, relaxedMatch } from './relaxed.ts'
import { isFormula, type SameAnswerOptions, sameAnswer } from './same-answer.ts'
import { anls } from './similar-text.ts'

/** What a check found: a judgement without the time that it took. */
export type Checked =
  | { readonly _tag: 'Scored'; readonly value: number; readonly evidence: Readonly<Record<string, unknown>> }
  | { readonly _tag: 'Abstained'; readonly why: string }

/** Characters of a text that evidence keeps. */
const kept = 300

const short = (text: string): string => (text.length <= kept ? text : `${text.slice(0, kept)}…`)
const scored = (value: number, evidence: Readonly<Record<string, unknown>>): Checked => ({
  _tag: 'Scored',
  value,
  evidence,
})

/** What {@link checks}`.answer` reads. */
interface AnswerInput extends SameAnswerOptions {
  readonly text: string
  /** True answers, of which one is to be given. */
  readonly truths: readonly string[]
  readonly from: Where
  /** What ends the thinking: the answer is looked for behind it. */
  readonly delimiter: string
  /** Whether a text without the delimiter has no answer. */
  readonly delimited: boolean
  /** Whether a truth must be readable as mathematics, else the check abstains. */
  readonly mathematics: boolean
}

/** What the other checks read. */
interface TextInput {
  readonly text: string
}

/** The final answer in a text: its last box, else all that stands behind the thinking. */
const finalText = (text: string): { readonly given: string; readonly from: 'box' | 'text' } => {
  const spoken = afterThinking(text)
  const boxed = lastBoxed(spoken)
  return boxed === null ? { given: spoken.trim(), from: 'text' } : { given: boxed, from: 'box' }
}

/** A true answer without the box or the signs of a formula that it may stand in. */
const truthIn = (truth: string): string => extract(truth, 'boxes')?.answer ?? truth

export const checks = {
  /** Whether the answer in a text is one of the true ones: 1 or 0. */
  answer: (i: AnswerInput): Checked => {
    const truths = i.truths.map(truthIn)
    if (i.mathematics && !truths.every(isFormula))
      return { _tag: 'Abstained', why: `the true answer is no mathematics: ${short(i.truths.join(' | '))}` }
    const expected = truths.length === 1 ? short(truths[0]!) : truths.map(short)
    if (i.delimited && !i.text.includes(i.delimiter))
      return scored(0, { extracted: null, why: `there is no ${i.delimiter}`, expected })
    const found = extract(afterThinking(i.text, i.delimiter), i.from)
    if (found === undefined) return scored(0, { extracted: null, why: `no answer in ${i.from}`, expected })
    const evidence = { extracted: short(found.answer), from: found.from, expected }
    const { decimals, percent } = i
    for (const truth of truths) {
      const comparison = sameAnswer(truth, found.answer, { decimals, percent })
      if (comparison.same) return scored(1, { ...evidence, by: comparison.by })
    }
    return scored(0, evidence)
  },
  /** Whether a text chooses the true option: 1 or 0. */
  choice: (i: TextInput & { readonly choices: Choices; readonly truth: string }): Checked => {
    const { given, from } = finalText(i.text)
    const chosen = choiceOf(given, i.choices)
    const truth = choiceOf(i.truth, i.choices)
    if (truth === null) return { _tag: 'Abstained', why: `the true answer is no option: ${short(i.truth)}` }
    return scored(chosen === truth ? 1 : 0, { extracted: chosen, from, text: short(given), expected: truth })
  },
  /** The similarity to the nearest of the true answers. */
  anls: (i: TextInput & { readonly truths: readonly string[]; readonly threshold: number }): Checked => {
    const { given, from } = finalText(i.text)
    return scored(anls(given, i.truths, i.threshold), {
      extracted: short(given),
      from,
      expected: i.truths.map(short),
    })
  },
  /** Whether a number is near enough to the true one: 1 or 0. */
  relaxed: (i: TextInput & RelaxedOptions & { readonly truth: string }): Checked => {
    const { given, from } = finalText(i.text)
    return scored(relaxedMatch(given, i.truth, { tolerance: i.tolerance, groups: i.groups }) ? 1 : 0, {
      extracted: short(given),
      from,
      expected: short(i.truth),
    })
  },
  /** The overlap with the true rectangle, both of 0 to 1000; 1 or 0 where there is a threshold. */
  region: (i: TextInput & { readonly truth: Region; readonly threshold?: number }): Checked => {
    const { given, from } = finalText(i.text)
    const found = regionIn(given)
    if (found === null) return scored(0, { extracted: null, from, expected: i.truth })
    const overlap = iou(regionInPixels(found, 1000, 1000), i.truth)
    const evidence = { extracted: found, from, expected: i.truth, iou: overlap }
    return scored(i.threshold === undefined ? overlap : overlap >= i.threshold ? 1 : 0, evidence)
  },
} as const

/** The name of a check. */
export type CheckName = keyof typeof checks

/** What a check reads. */
export type CheckInput<N extends CheckName> = Parameters<(typeof checks)[N]>[0]
