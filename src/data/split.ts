/**
 * Held-out examples: which side an example is on is a function of its key.
 *
 * @since 0.1.0
 */
import { random, type Seed } from '../random/index.ts'
import { onlySettings, seedSetting } from '../settings/index.ts'
import { givenFunction, givenSource } from './given.ts'
import { type Placed, type Source, SourceError } from './source.ts'

/** Settings of {@link split}. */
export interface SplitOptions<E> {
  /** The share that is held out, between 0 and 1. */
  readonly heldOut: number
  /** What must not be on both sides: the image's file, say, of which there are several questions. */
  readonly by: (example: E) => string
  /** Default 0. */
  readonly seed?: Seed
}

/** The two sides. */
export interface Sides<out E> {
  readonly train: Source<E>
  readonly heldOut: Source<E>
}

/** Examples of one key after which a side that has none of them is given up. */
const manyAlike = 100_000

/** What a side without an example says: keys that tell nothing apart are no split. */
const emptySide = (name: 'train' | 'heldOut', read: number, first: string, alike: boolean): SourceError =>
  new SourceError(
    read === 0
      ? `split: the side '${name}' has no example, for the source has none`
      : `split: the side '${name}' has none of ${read} examples; ${
          alike && read > 1
            ? `by gives '${first.length > 60 ? `${first.slice(0, 60)} …` : first}' for all of them: give what tells them apart`
            : 'take more of them, or another share'
        }`,
    'EmptySide',
  )

/**
 * Splits a source in two by the hash of each example's key: all examples of one key are on one side, and stay there
 * whatever else the source has.
 *
 * @throws SourceError where `heldOut` is not between 0 and 1; while a side is read, `EmptySide` where it has no example, as
 *   where `by` gives one key for all of them
 * @category combinators
 */
export const split = <E>(source: Source<E>, options: SplitOptions<E>): Sides<E> => {
  onlySettings('split', options, ['heldOut', 'by', 'seed'])
  givenSource('split', 'source', source)
  const { heldOut, by, seed = 0 } = options
  seedSetting('split', seed)
  givenFunction('split', 'by', by)
  if (!(heldOut > 0 && heldOut < 1))
    throw new SourceError(`split: heldOut is ${heldOut}; give a share between 0 and 1`)
  const side = (name: 'train' | 'heldOut'): Source<E> => ({
    config: { kind: 'split', side: name, heldOut, seed, source: source.config },
    async *open(place): AsyncGenerator<Placed<E>> {
      let [read, first, alike, given] = [0, '', true, place !== undefined]
      for await (const placed of source.open(place)) {
        const key = by(placed.example)
        if (typeof key !== 'string')
          throw new SourceError(
            `split: by gives ${String(key)}; give a text, the key of an example`,
            'BadStream',
          )
        if (read++ === 0) first = key
        alike &&= key === first
        // an endless source would be read for ever
        if (!given && alike && read === manyAlike) break
        const held = random(seed, 'split', key).next() < heldOut
        if (held !== (name === 'heldOut')) continue
        given = true
        yield placed
      }
      if (!given) throw emptySide(name, read, first, alike)
    },
  })
  return { train: side('train'), heldOut: side('heldOut') }
}
