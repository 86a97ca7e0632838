/**
 * A reward as a value, and its result as data. What could not be judged is never a number.
 *
 * @since 0.1.0
 */
import type { Task as Effect } from 'fp-ts/lib/Task.js'
import type { Completion } from './completion.ts'
import type { Columns, Task } from './task.ts'

/** Plain data that says what a judgement rests on: what was extracted, from where, compared with what. */
export type Evidence = Readonly<Record<string, unknown>>

/** A piece of a completion's text, from the character `from` to before `to`, that was judged by itself. */
export interface Step {
  readonly from: number
  readonly to: number
  readonly value: number
  /** What it is about, in a word: steps about the same are compared with one another. */
  readonly about?: string
}

/** A completion was judged. */
export interface Scored {
  readonly _tag: 'Scored'
  readonly value: number
  readonly evidence: Evidence
  /** Its steps, where they were judged one by one. */
  readonly steps?: readonly Step[]
  /** The judgements that it was put together from, by name. */
  readonly parts?: Readonly<Record<string, Judgement>>
}

/** A reward does not speak about this completion: nothing is known, and nothing is wrong. */
export interface Abstained {
  readonly _tag: 'Abstained'
  readonly why: string
  readonly parts?: Readonly<Record<string, Judgement>>
}

/** A verifier failed, threw or ran out of time: the completion leaves its group, and the failure is counted and shown. */
export interface Failed {
  readonly _tag: 'Failed'
  readonly why: string
  readonly elapsedMs: number
  readonly parts?: Readonly<Record<string, Judgement>>
}

/** The result of a reward. */
export type Judgement = Scored | Abstained | Failed

/** What a reward reads. */
export interface Judged<out C extends Columns = Columns> {
  readonly task: Task<C>
  readonly completion: Completion
}

/** A reward that reads the columns `C` of a task. Its task never rejects: what goes wrong is `Failed`. */
export interface Reward<in C extends Columns = Columns> {
  readonly name: string
  /** Everything that determines it, as plain JSON data: it belongs to the run's identity. */
  readonly config: unknown
  readonly score: (judged: Judged<C>) => Effect<Judgement>
}
