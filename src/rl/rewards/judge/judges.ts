/**
 * Rewards that a judge gives: for thinking, and for answers that no rule verifies.
 *
 * @since 0.1.0
 */

import { createHash } from 'node:crypto'
import { wholeImages } from '../../../data/index.ts'
import { kindOf, onlySettings } from '../../../settings/index.ts'
import { RecipeError } from '../../../train/index.ts'
import type { Judged, Judgement, Reward, Scored } from '../../reward.ts'
import type { Columns } from '../../task.ts'
import { afterThinking, lastBoxed } from '../../verify/index.ts'
import { type Truth, truthsOf } from '../answer.ts'
import {
  type Checkable,
  type ColumnsOf,
  type CompoundReward,
  readiness,
  unready,
  wrapped,
} from '../compound.ts'
import { failed, judgementOf, scored } from '../judgement.ts'
import { dataMessage, judgePrompt, readPrompt } from './data-message.ts'
import type { JudgeModel } from './judge-model.ts'
import { AnswerReply, decodeReply, ThinkReply } from './reply.ts'

/** Settings of {@link thinkJudge} and {@link answerJudge}. */
export interface JudgeOptions {
  readonly model: JudgeModel
  /** A file with the prompt; default: `assets/judge/think.txt` or `answer.txt` of this package. */
  readonly prompt?: string
}

/** Three verdicts on a piece of reasoning. */
export interface ThinkVerdict {
  /** Every step follows. */
  readonly soundness: 0 | 1
  /** What is said of images, question and world is true. */
  readonly grounding: 0 | 1
  /** The answer is what the reasoning leads to. */
  readonly consistency: 0 | 1
}

/** The mean of the three, each kept as a part (SAIL-RL, section 3). */
export const threefold = (
  { soundness, grounding, consistency }: ThinkVerdict,
  evidence: Readonly<Record<string, unknown>>,
): Scored => {
  const parts = {
    soundness: scored(soundness),
    grounding: scored(grounding),
    consistency: scored(consistency),
  }
  return scored((soundness + grounding + consistency) / 3, evidence, parts)
}

/** What a completion says: its thinking, and its final answer (its last box, else all behind the thinking). */
export const saidIn = (text: string): { readonly thinking: string; readonly answer: string } => {
  const spoken = text.split('<|im_end|>')[0]!
  const close = spoken.lastIndexOf('</think>')
  const thinking =
    close < 0
      ? ''
      : spoken
          .slice(0, close)
          .replace(/^\s*<think>/, '')
          .trim()
  const rest = afterThinking(text)
  return { thinking, answer: lastBoxed(rest) ?? rest.trim() }
}

const promptOf = (o: JudgeOptions, name: 'think' | 'answer') => {
  onlySettings(`${name}Judge`, o, ['model', 'prompt'])
  if (typeof o.model?.ask !== 'function')
    throw new RecipeError(
      `${name}Judge`,
      'model',
      `it is ${kindOf(o.model)}; give judgeModel({ baseURL, model })`,
    )
  const system = readPrompt(o.prompt ?? judgePrompt(name))
  const checksum = createHash('sha256').update(system).digest('hex')
  return { system, config: { kind: `${name}Judge`, model: o.model.config, prompt: checksum } }
}

const referenceOf = (columns: { readonly answer?: Truth }): Readonly<Record<string, string>> => {
  const truths = truthsOf(columns.answer)
  return truths.length === 0 ? {} : { reference: truths.join(' or ') }
}

/** How a judge's reward finds out that the judge cannot be asked. */
const askable = (name: string, { model }: JudgeOptions): Checkable => ({
  [readiness]: async () => {
    const why = await model.unusable?.()
    return why === undefined ? undefined : `reward '${name}' cannot judge: ${why}`
  },
})

/** The columns that a judge looks at: the true answer, where a task has one. */
export type Reference = { readonly answer?: Truth }

/**
 * The mean of three verdicts of 0 or 1 on a completion's thinking: logical soundness, factual grounding, consistency of the
 * answer (SAIL-VL2, section 4.2.5). The judge sees the task's question and images. Without thinking it is 0, unasked. A judge that cannot be
 * reached or understood is `Failed`.
 *
 * @category judges
 */
export const thinkJudge = (o: JudgeOptions): Reward<Reference> => {
  const { system, config } = promptOf(o, 'think')
  return {
    ...{ name: 'thinkJudge', config, ...askable('thinkJudge', o) },
    score: (judged: Judged<Reference>) => async () => {
      const { task, completion } = judged
      const { thinking, answer } = saidIn(completion.text)
      if (thinking === '')
        return threefold({ soundness: 0, grounding: 0, consistency: 0 }, { why: 'no thinking' })
      const user = dataMessage({ question: task.question, thinking, answer, ...referenceOf(task.columns) })
      const decode = (reply: string) => decodeReply(ThinkReply, reply)
      const got = await o.model.ask({ system, user, images: wholeImages(task.prompt), decode })
      if (got._tag === 'Failed') return failed(got.why, got.elapsedMs)
      return threefold(got.reply, { why: got.reply.why ?? '' })
    },
  }
}

/**
 * 1 where a judge holds the final answer for right, else 0: for tasks that no rule verifies. The judge sees the task's
 * question and images and, where the task has one, the true answer. A judge that cannot be reached or understood is `Failed`.
 *
 * @category judges
 */
export const answerJudge = (o: JudgeOptions): Reward<Reference> => {
  const { system, config } = promptOf(o, 'answer')
  return {
    ...{ name: 'answerJudge', config, ...askable('answerJudge', o) },
    score: (judged: Judged<Reference>) => async () => {
      const { task, completion } = judged
      const { answer } = saidIn(completion.text)
      const user = dataMessage({ question: task.question, answer, ...referenceOf(task.columns) })
      const decode = (reply: string) => decodeReply(AnswerReply, reply)
      const got = await o.model.ask({ system, user, images: wholeImages(task.prompt), decode })
      if (got._tag === 'Failed') return failed(got.why, got.elapsedMs)
      return scored(got.reply.correct, { extracted: answer.slice(0, 300), why: got.reply.why ?? '' })
    },
  }
}

/** How often a judge and a rule said the same. */
export interface Agreement {
  readonly compared: number
  readonly agreed: number
}

/**
 * The judge's judgement, compared with a rule's where both speak: what the rule says is counted and kept as evidence, and
 * changes nothing. Both agree where both are above one half or neither is.
 *
 * @category judges
 */
export const audited = <J extends Reward<never>, R extends Reward<never>>(
  judge: J,
  rule: R,
): CompoundReward<ColumnsOf<J> & ColumnsOf<R> & Columns> & { readonly agreement: () => Agreement } => {
  const count = { compared: 0, agreed: 0 }
  const base = wrapped(
    judge as Reward<never>,
    (of) => ({ kind: 'audited', judge: of, rule: rule.config }),
    (judgement) => judgement,
  )
  const score = (judged: Judged) => async (): Promise<Judgement> => {
    const [said, ruled] = await Promise.all([judgementOf(judge, judged), judgementOf(rule, judged)])
    if (said._tag !== 'Scored' || ruled._tag !== 'Scored') return said
    const agreed = said.value > 0.5 === ruled.value > 0.5
    count.compared++
    if (agreed) count.agreed++
    return { ...said, evidence: { ...said.evidence, rule: ruled.value, agreed } }
  }
  return {
    ...base,
    score: score as never,
    agreement: () => ({ ...count }),
    ...{ [readiness]: () => unready(rule as Reward<never>) },
  }
}
