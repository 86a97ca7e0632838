/**
 * Held-out questions about rendered images, a family at a time.
 *
 * @since 0.1.0
 */
import { indexed, type Question, type Source } from '../data/index.ts'
import { onlySettings } from '../settings/index.ts'
import { type Reply, sampleConversation } from './conversations.ts'
import { sampleAt } from './mixture.ts'
import { type Family, families, finalOf, type Level } from './sample.ts'

/** Which questions. */
export interface HeldOutQuestionOptions {
  readonly seed: string | number
  /** The lowest and the highest level; default 3 alone, the hardest that the recipe’s first half learns. */
  readonly levels?: readonly [Level, Level]
  /** How they are to be answered; default by the steps in plain sight. */
  readonly reply?: Exclude<Reply, 'caption'>
}

/** The held-out questions of one family: the same ones each time. */
const ofFamily = (
  family: Family,
  { seed, levels = [3, 3], reply = 'answer' }: HeldOutQuestionOptions,
): Source<Question> => {
  const mixture = { seed, split: 'heldout', weights: { [family]: 1 }, levels } as const
  const rendered = new Map<number, Question>()
  const at = (i: number): Question => {
    const there = rendered.get(i)
    if (there !== undefined) return there
    const sample = sampleAt(mixture, i)
    const made: Question = {
      conversation: sampleConversation(sample, reply),
      question: sample.question,
      expected: sample.final,
      answerOf: (text) => finalOf(family, text),
      level: sample.level,
    }
    rendered.set(i, made)
    return made
  }
  return indexed({ kind: 'heldOutQuestions', family, seed, levels: [...levels], reply }, function* (index) {
    for (let i = index; ; i++) yield at(i)
  })
}

/** The held-out questions of every family, in display order. No content of theirs occurs in training. */
export const heldOutQuestions = (
  options: HeldOutQuestionOptions,
): Readonly<Record<Family, Source<Question>>> => {
  onlySettings('heldOutQuestions', options, ['seed', 'levels', 'reply'])
  return Object.fromEntries(families.map((f) => [f, ofFamily(f, options)])) as Record<
    Family,
    Source<Question>
  >
}
