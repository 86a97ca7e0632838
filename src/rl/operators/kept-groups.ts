/** What operators that ask a session about completions have in common. */
import { concatMap, defer, finalize, from, type MonoTypeOperatorFunction, tap } from 'rxjs'
import { type Experience, experienceOf } from '../experience.ts'
import type { RatedGroup } from '../group.ts'
import type { Columns } from '../task.ts'

/**
 * Adds to kept groups what is computed of their completions, one number a token each; a group that was left out passes as it
 * is. Groups that come in one turn, or while others are computed, wait and are computed together, because a batch has room for
 * several. The stream fails with the source and with what computes. Unsubscribing lets what is computed end and computes no other.
 *
 * @param compute one array for each completion, in their order
 * @param added what a group gains by the arrays of its completions
 */
export const addedToKept =
  <C extends Columns>(
    compute: (experiences: readonly Experience[]) => Promise<readonly (readonly number[])[]>,
    added: (found: readonly (readonly number[])[]) => Partial<RatedGroup<C>>,
  ): MonoTypeOperatorFunction<RatedGroup<C>> =>
  (groups$) =>
    defer(() => {
      const waiting: RatedGroup<C>[] = []
      const together = async (): Promise<readonly RatedGroup<C>[]> => {
        await Promise.resolve()
        const groups = waiting.splice(0)
        const experiences = groups.flatMap((g) =>
          g.selection.kept ? g.completions.map((_, i) => experienceOf(g, i)) : [],
        )
        const found = experiences.length === 0 ? [] : await compute(experiences)
        let at = 0
        return groups.map((g) => {
          if (!g.selection.kept) return g
          const own = found.slice(at, at + g.completions.length)
          at += g.completions.length
          return { ...g, ...added(own) }
        })
      }
      return groups$.pipe(
        tap((group) => waiting.push(group)),
        concatMap(() => defer(together)),
        concatMap((groups) => from(groups)),
        finalize(() => waiting.splice(0)),
      )
    })
