/**
 * A task of reinforcement: a prompt, and what rewards read beside it.
 *
 * @since 0.1.0
 */
import type { Conversation } from '../data/index.ts'

/** What a task carries for rewards, by name: the right answer, choices, the scene that was drawn. */
export type Columns = Readonly<Record<string, unknown>>

/** A prompt to answer, and what rewards read. `C` names the columns, so that a reward that needs another does not compile. */
export interface Task<out C extends Columns = Columns> {
  /** Its own among all tasks of a run: what is drawn for it depends on it. */
  readonly id: string
  /** The family that it is counted under. */
  readonly family: string
  /** Of which the first `promptLength` tokens and the images are read; what comes after is not. */
  readonly prompt: Conversation
  /** The question as a person reads it. */
  readonly question: string
  readonly columns: C
}
