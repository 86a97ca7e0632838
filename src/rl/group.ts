/**
 * A group: the completions of one task, and what they are worth against each other.
 *
 * @since 0.3.0
 */
import type { Completion } from './completion.ts'
import type { Judgement } from './reward.ts'
import type { Columns, Task } from './task.ts'

/** The completions of one task. */
export interface Group<out C extends Columns = Columns> {
  readonly task: Task<C>
  readonly completions: readonly Completion[]
}

/** A group of which every completion was judged. */
export interface ScoredGroup<out C extends Columns = Columns> extends Group<C> {
  /** Shape [completion]. */
  readonly judgements: readonly Judgement[]
}

/** A group with the advantage of each completion; undefined where it has none, because its verifier failed or abstained. */
export interface RatedGroup<out C extends Columns = Columns> extends ScoredGroup<C> {
  /** Shape [completion]. */
  readonly advantages: readonly (number | undefined)[]
}
