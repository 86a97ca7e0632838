/**
 * A question with its answer: what an evaluation by generation asks.
 *
 * @since 0.1.0
 */
import type { Conversation } from './conversation.ts'

/** A question with its answer. */
export interface Question {
  /** The conversation of which the prompt is read; its answer is not. */
  readonly conversation: Conversation
  /** As a person reads it. */
  readonly question: string
  /** What the answer must be, exactly. */
  readonly expected: string
  /** The answer in a text that a model wrote; default: the whole text without outer spaces. */
  readonly answerOf?: (text: string) => string
  /** How hard it is, from 1; default 1. */
  readonly level?: number
}
