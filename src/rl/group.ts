/**
 * A group: the completions of one task, and what they are worth against each other.
 *
 * @since 0.1.0
 */
import type { Completion } from './completion.ts'
import type { Judgement } from './reward.ts'
import type { Selection } from './selection.ts'
import type { Columns, Task } from './task.ts'

/** The completions of one task. */
export interface Group<out C extends Columns = Columns> {
  /** The task's place among those that were asked, from 0: groups are complete in another order. */
  readonly index: number
  readonly task: Task<C>
  /** In the order of their samples. */
  readonly completions: readonly Completion[]
}

/** A group of which every completion was judged. */
export interface ScoredGroup<out C extends Columns = Columns> extends Group<C> {
  /** Shape [completion]. */
  readonly judgements: readonly Judgement[]
}

/** A group of which it is decided whether it takes part in updates. */
export interface SelectedGroup<out C extends Columns = Columns> extends ScoredGroup<C> {
  readonly selection: Selection
}

/** A group with the advantage of each completion; undefined where it has none, because its verifier failed or abstained. */
export interface RatedGroup<out C extends Columns = Columns> extends SelectedGroup<C> {
  /** Shape [completion]. */
  readonly advantages: readonly (number | undefined)[]
  /** What each drawn token is worth beside that, where steps were judged. Shape [completion, token]. */
  readonly stepAdvantages?: readonly (readonly number[])[]
  /** Log-probabilities of the drawn tokens under the policy as it is before its updates, where they were taken anew. Shape [completion, token]. */
  readonly oldLogProbs?: readonly (readonly number[])[]
  /** The same under the reference, where there is one. Shape [completion, token]. */
  readonly referenceLogProbs?: readonly (readonly number[])[]
}
