/**
 * Examples in a random order, with a bounded buffer.
 *
 * @since 0.1.0
 */
import * as t from 'io-ts'
import { random, type Seed } from '../random/index.ts'
import { onlySettings, seedSetting } from '../settings/index.ts'
import { present } from '../settings/internal.ts'
import { givenSource } from './given.ts'
import { type Placed, type Source, SourceError } from './source.ts'
import { Whole } from './whole-number.ts'

/** Settings of {@link shuffled}. */
export interface ShuffleOptions {
  readonly seed: Seed
  /** Examples that are mixed with each other, and that are in memory at once. */
  readonly buffer: number
}

const Place = t.intersection([t.type({ block: Whole, given: Whole }), t.partial({ source: t.unknown })])

/**
 * The same examples, each `buffer` of them in an order of their own, which the seed and the block's number determine. A
 * place is that of the source at the block's beginning and how many of the block were given: a run that goes on reads the
 * block again. Shuffle before what is costly, and `shuffled(repeated(…))` for another order in each pass.
 *
 * @throws SourceError where `buffer` is no whole number from 1, or it is opened at a place of another source
 * @category combinators
 */
export const shuffled = <E>(source: Source<E>, options: ShuffleOptions): Source<E> => {
  onlySettings('shuffled', options, ['seed', 'buffer'])
  givenSource('shuffled', 'source', source)
  const { seed, buffer } = options
  seedSetting('shuffled', seed)
  if (!Number.isSafeInteger(buffer) || buffer < 1)
    throw new SourceError(`shuffled: buffer is ${buffer}; give a whole number from 1`)
  return {
    config: { kind: 'shuffled', seed, buffer, source: source.config },
    async *open(place = { block: 0, given: 0 }): AsyncGenerator<Placed<E>> {
      if (!Place.is(place) || place.given >= buffer)
        throw new SourceError(
          `a shuffled source opens at { block, given, source }, not at ${JSON.stringify(place)}`,
        )
      let { block, given, source: begin } = place
      const stream = source.open(begin)
      try {
        for (let ended = false; !ended; block++, given = 0) {
          const examples: E[] = []
          let next = begin
          while (examples.length < buffer && !ended) {
            const { value, done } = await stream.next()
            if (done) ended = true
            else {
              examples.push(value.example)
              next = value.next
            }
          }
          const order = random(seed, 'shuffled', block).shuffle(examples)
          for (let i = given; i < order.length; i++)
            yield {
              example: order[i]!,
              next:
                i + 1 < buffer
                  ? { block, given: i + 1, ...present({ source: begin }) }
                  : { block: block + 1, given: 0, source: next },
            }
          begin = next
        }
      } finally {
        await stream.return?.()
      }
    },
  }
}
