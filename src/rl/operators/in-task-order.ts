/**
 * Groups in the order of their tasks.
 *
 * @since 0.1.0
 */
import { concatMap, type MonoTypeOperatorFunction, scan } from 'rxjs'

interface Waiting<G> {
  readonly later: ReadonlyMap<number, G>
  readonly next: number
  readonly ready: readonly G[]
}

/**
 * Holds a group back until all of lower `index` are there: what follows depends on no timing. Indices begin at 0.
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
    groups$.pipe(
      scan(
        ({ later, next }: Waiting<G>, group: G): Waiting<G> => {
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
