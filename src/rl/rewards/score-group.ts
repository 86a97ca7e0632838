/**
 * A group's completions judged by a reward, and the sentence that a user reads where both do not fit.
 *
 * @since 0.1.0
 */
import type { Task as Effect } from 'fp-ts/lib/Task.js'
import type { Group, ScoredGroup } from '../group.ts'
import type { Reward } from '../reward.ts'
import type { Columns } from '../task.ts'
import type { ColumnsOf } from './compound.ts'
import { judgedOf, judgementOf } from './judgement.ts'

/** Why a program does not compile: the tasks have no column of these names. */
export interface MissingColumn<Name> {
  readonly 'the reward reads a column that these tasks do not have': Name
}

/** Why a program does not compile: the tasks have the columns, but as other types than the reward reads. */
export interface OtherColumn<Names> {
  readonly 'the reward reads a column as another type than these tasks have it': Names
}

/** The names of columns that a type spells out. */
type Named<C> = keyof { [K in keyof C as string extends K ? never : K]: C[K] }

/** The columns that are there as another type. */
type OtherNames<Needed, C> = {
  [K in Named<Needed> & Named<C>]: C[K] extends Needed[K] ? never : K
}[Named<Needed> & Named<C>]

/** A reward where tasks with the columns `C` have all that it reads, else a sentence that says what is missing. */
export type Fitting<R extends Reward<never>, C extends Columns> = [C] extends [ColumnsOf<R>]
  ? unknown
  : [Exclude<Named<ColumnsOf<R>>, Named<C>>] extends [never]
    ? OtherColumn<OtherNames<ColumnsOf<R>, C>>
    : MissingColumn<Exclude<Named<ColumnsOf<R>>, Named<C>>>

/**
 * Judges each completion of a group, all at the same time. Where the group's tasks lack a column that the reward reads, it
 * does not compile, and the message names the column.
 *
 * @category rewards
 */
export const scoreGroup = <R extends Reward<never>, C extends Columns>(
  reward: R & Fitting<R, C>,
  group: Group<C>,
): Effect<ScoredGroup<C>> => {
  const { task, completions } = group
  return async () => ({
    ...group,
    judgements: await Promise.all(
      completions.map((completion) => judgementOf(reward, judgedOf(task, completion))),
    ),
  })
}
