/**
 * Rendered tasks as problems of reinforcement: a prompt with its image, and what rewards read beside it.
 *
 * @since 0.1.0
 */
import { type Conversation, indexed, type Source } from '../data/index.ts'
import { type Reply, sampleConversation } from './conversations.ts'
import { checkedMixture, type Mixture, sampleAt } from './mixture.ts'
import type { Family, Level, Scene } from './sample.ts'

/** What is true of a problem's image: what rewards read. */
export interface ProblemColumns {
  /** The exact answer. */
  readonly answer: string
  /** The steps as the task writes them; empty where there is nothing to work out. */
  readonly steps: string
  readonly level: Level
  /** How it is to be answered. */
  readonly reply: Reply
  /** What the image was drawn from: a judge that needs no network reads it. */
  readonly scene: Scene
  readonly [column: string]: unknown
}

/** A problem: a task of `sailwright/rl`. */
export interface Problem {
  readonly id: string
  readonly family: Family
  /** Only the prompt and the image are read. */
  readonly prompt: Conversation
  readonly question: string
  readonly columns: ProblemColumns
}

/** The i-th problem of a mixture: a pure function of both. */
export const problemAt = (mixture: Mixture, i: number, reply: Reply = 'thought'): Problem => {
  const sample = sampleAt(mixture, i)
  const { id, family, question, final, steps, level, scene } = sample
  return {
    ...{ id, family, question },
    prompt: sampleConversation(sample, reply),
    columns: { answer: final, steps, level, reply, scene },
  }
}

/**
 * The problems of a mixture, one after the other, without end.
 *
 * @param reply how they are to be answered; default with a thought
 * @category sources
 */
export const problems = (mixture: Mixture, reply: Reply = 'thought'): Source<Problem> =>
  indexed({ kind: 'problems', mixture: checkedMixture(mixture), reply }, function* (index) {
    for (let i = index; ; i++) yield problemAt(mixture, i, reply)
  })
