/**
 * Several sources in given shares.
 *
 * @since 0.1.0
 */
import * as t from 'io-ts'
import { random, type Seed } from '../random/index.ts'
import { onlySettings, seedSetting } from '../settings/index.ts'
import { givenList, givenSource } from './given.ts'
import { type Placed, type Source, SourceError } from './source.ts'
import { Whole } from './whole-number.ts'

/** A source and its share of all examples. */
export interface Share<out E> {
  /** Above 0; shares are divided by their sum. */
  readonly share: number
  readonly source: Source<E>
}

const Place = t.type({ index: Whole, places: t.array(t.union([t.null, t.type({ at: t.unknown })])) })

/**
 * Examples of several sources, each in its own order; which one is next is drawn by seed and index. It ends where the one that
 * is next has ended: `repeated` sources never do.
 *
 * @throws RangeError where there is no source or a share is not above 0
 * @throws SourceError where it is opened at a place of another source
 * @category combinators
 */
export const mixed = <E>(shares: readonly Share<E>[], options: { readonly seed: Seed }): Source<E> => {
  const seed = seedSetting('mixed', onlySettings('mixed', options, ['seed']).seed)
  givenList('mixed', 'shares', shares)
  if (shares.length === 0) throw new RangeError('mixed: there is no source; give at least one')
  shares.forEach(({ share, source }, i) => {
    if (!(share > 0 && Number.isFinite(share)))
      throw new RangeError(`mixed, shares[${i}]: it is ${share}; give a number above 0`)
    givenSource('mixed', `shares[${i}].source`, source)
  })
  const which = shares.map((_, i) => i)
  const weights = shares.map((s) => s.share)
  return {
    config: { kind: 'mixed', seed, shares: shares.map((s) => ({ share: s.share, source: s.source.config })) },
    async *open(place: unknown = { index: 0, places: shares.map(() => null) }): AsyncGenerator<Placed<E>> {
      if (!Place.is(place) || place.places.length !== shares.length)
        throw new SourceError(`mixed sources open at { index, places }, not at ${JSON.stringify(place)}`)
      const places = [...place.places]
      const streams = shares.map(({ source }, i) => source.open(places[i]?.at))
      try {
        for (let index = place.index; ; index++) {
          const from = random(seed, 'mixed', index).weighted(which, weights)
          const { value, done } = await streams[from]!.next()
          if (done === true) return
          places[from] = { at: value.next }
          yield { example: value.example, next: { index: index + 1, places: [...places] } }
        }
      } finally {
        for (const s of streams) await s.return?.()
      }
    },
  }
}
