/**
 * Curation: examples in, those that are kept and those that are not, each with the reason.
 *
 * @since 0.1.0
 */

/** An example that was set aside. */
export interface Dropped<out E> {
  readonly example: E
  /** The name of the filter that did it. */
  readonly by: string
  /** Why, as a person reads it. */
  readonly why: string
}

/** What a filter made of a list: every example is in one of the two, in its order. */
export interface Curated<out E> {
  readonly kept: readonly E[]
  readonly dropped: readonly Dropped<E>[]
}

/** A filter of a list, with a name under which what it drops is counted. */
export interface Filter<in E> {
  readonly name: string
  /** Its settings, as plain JSON data, for a run's identity; default: it has none. */
  readonly config?: unknown
  /** Why each example is dropped; undefined for one that is kept. Shape [example]. */
  readonly reasons: (examples: readonly E[]) => readonly (string | undefined)[]
}

/**
 * Runs filters one after the other; each sees what those before it have kept.
 *
 * @throws RangeError where a filter does not speak about each example
 * @category curation
 */
export const curate =
  <E>(...filters: readonly Filter<E>[]) =>
  (examples: readonly E[]): Curated<E> =>
    filters.reduce<Curated<E>>(
      ({ kept, dropped }, { name, reasons }) => {
        const why = reasons(kept)
        if (why.length !== kept.length)
          throw new RangeError(
            `filter '${name}' gives ${why.length} reasons for ${kept.length} examples; give one each, undefined for those that are kept`,
          )
        return {
          kept: kept.filter((_, i) => why[i] === undefined),
          dropped: [
            ...dropped,
            ...kept.flatMap((example, i) =>
              why[i] === undefined ? [] : [{ example, by: name, why: why[i] }],
            ),
          ],
        }
      },
      { kept: examples, dropped: [] },
    )

/** How many examples each filter dropped, in the filters' order: `unique 12, boxed 3`. */
export const countsOf = (c: Curated<unknown>): Readonly<Record<string, number>> => {
  const counts: Record<string, number> = {}
  for (const { by } of c.dropped) counts[by] = (counts[by] ?? 0) + 1
  return counts
}
