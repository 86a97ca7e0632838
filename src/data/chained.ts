/**
 * Several sources as one.
 *
 * @since 0.1.0
 */
import * as t from 'io-ts'
import { givenList, givenSource } from './given.ts'
import { type Placed, type Source, SourceError } from './source.ts'
import { Whole } from './whole-number.ts'

const Place = t.intersection([t.type({ source: Whole }), t.partial({ place: t.unknown })])

/**
 * The examples of each source after those of the one before it: the files or shards of one data set. A place is which source
 * it is in, and that one's own place.
 *
 * @throws SourceError where it is opened at a place of another source
 * @category combinators
 */
export const chained = <E>(sources: readonly Source<E>[]): Source<E> => {
  givenList('chained', 'sources', sources)
  const configs = sources.map((s, i) => givenSource('chained', `sources[${i}]`, s).config)
  return {
    config: { kind: 'chained', sources: configs },
    async *open(place = { source: 0 }): AsyncGenerator<Placed<E>> {
      if (!Place.is(place) || place.source > sources.length)
        throw new SourceError(`chained sources open at { source, place }, not at ${JSON.stringify(place)}`)
      let own = place.place
      for (let source = place.source; source < sources.length; source++) {
        for await (const { example, next } of sources[source]!.open(own))
          yield { example, next: { source, place: next } }
        own = undefined
      }
    },
  }
}
