/**
 * Groups in the order of their tasks.
 *
 * @since 0.1.0
 */
import { concat, concatMap, type MonoTypeOperatorFunction, of, scan } from 'rxjs'

interface Waiting<G> {
  readonly later: ReadonlyMap<number, G>
  readonly next: number
  readonly ready: readonly G[]
}

/** The end of the stream: what is held back then waits in vain. */
const end = Symbol('end')

/**
 * Holds a group back until all of lower `index` are there: what follows depends on no timing. Indices begin at 0.
 *
 * It completes and fails with its source. The stream fails as well where a group comes twice, and where the source ends without
 * one that others wait for, as behind a `filter`: put what leaves groups out after it.
 *
 * ```text
 * groups   -1-0---3-2-|
 * result   ---(01)--(23)-|
 * ```
 *
 * @category operators
 */
export const inTaskOrder =
  <G extends { readonly index: number }>(): MonoTypeOperatorFunction<G> =>
  (groups$) =>
    concat(groups$, of<typeof end>(end)).pipe(
      scan(
        ({ later, next }: Waiting<G>, group: G | typeof end): Waiting<G> => {
          if (group === end) {
            if (later.size === 0) return { later, next, ready: [] }
            throw new Error(
              `inTaskOrder: the groups ended without the one of index ${next}, for which ${later.size} wait`,
            )
          }
          if (group.index < next || later.has(group.index))
            throw new Error(`inTaskOrder: the group of index ${group.index} came twice`)
          const left = new Map([...later, [group.index, group]])
          const ready: G[] = []
          let at = next
          for (let g = left.get(at); g !== undefined; g = left.get(at)) {
            ready.push(g)
            left.delete(at++)
          }
          return { later: left, next: at, ready }
        },
        { later: new Map(), next: 0, ready: [] },
      ),
      concatMap(({ ready }) => ready),
    )
