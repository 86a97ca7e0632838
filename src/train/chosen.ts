/** Some examples of a source, by their places. */
import * as t from 'io-ts'
import { type Placed, type Source, SourceError } from '../data/index.ts'

const Place = t.intersection([t.type({ seen: t.number }), t.partial({ at: t.unknown })])

/** What a checkpoint keeps of a choice: places, from 0. */
export const Places = t.array(t.number)

/**
 * The examples of a source at some places, in its order, once. The source is read no further than the last of them.
 *
 * @param what they are, in the plural, as an error says it
 */
export const chosen = <E>(source: Source<E>, places: Iterable<number>, what: string): Source<E> => {
  const kept = new Set(places)
  let last = -1
  for (const place of kept) last = Math.max(last, place)
  return {
    config: source.config,
    async *open(place: unknown = { seen: 0 }): AsyncGenerator<Placed<E>> {
      if (!Place.is(place))
        throw new SourceError(`${what} open at { seen, at }, not at ${JSON.stringify(place)}`)
      let { seen } = place
      if (seen > last) return
      for await (const { example, next } of source.open(place.at)) {
        seen++
        if (kept.has(seen - 1)) yield { example, next: { seen, at: next } }
        if (seen > last) return
      }
    },
  }
}
