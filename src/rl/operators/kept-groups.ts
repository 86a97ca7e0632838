/** What operators that ask a session about completions have in common. */
import { concatMap, defer, type MonoTypeOperatorFunction } from 'rxjs'
import { type Experience, experienceOf } from '../experience.ts'
import type { RatedGroup } from '../group.ts'
import type { Columns } from '../task.ts'

/**
 * Adds to each kept group what is computed of its completions; a group that was left out passes as it is. One group at a time,
 * those that come meanwhile wait. The stream fails with the source and with what computes.
 */
export const addedToKept =
  <C extends Columns>(
    compute: (experiences: readonly Experience[]) => Promise<Partial<RatedGroup<C>>>,
  ): MonoTypeOperatorFunction<RatedGroup<C>> =>
  (groups$) =>
    groups$.pipe(
      concatMap((group) =>
        defer(async (): Promise<RatedGroup<C>> => {
          if (!group.selection.kept) return group
          return { ...group, ...(await compute(group.completions.map((_, i) => experienceOf(group, i)))) }
        }),
      ),
    )
