/**
 * Held-out examples: which side an example is on is a function of its key.
 *
 * @since 0.3.0
 */
import { random, type Seed } from '../random/index.ts'
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
export interface Split<out E> {
  readonly train: Source<E>
  readonly heldOut: Source<E>
}

/**
 * Splits a source in two by the hash of each example's key: all examples of one key are on one side, and stay there
 * whatever else the source has.
 *
 * @throws SourceError where `heldOut` is not between 0 and 1
 * @category combinators
 */
export const split = <E>(source: Source<E>, { heldOut, by, seed = 0 }: SplitOptions<E>): Split<E> => {
  if (!(heldOut > 0 && heldOut < 1))
    throw new SourceError(`split: heldOut is ${heldOut}; give a share between 0 and 1`)
  const side = (name: 'train' | 'heldOut'): Source<E> => ({
    config: { kind: 'split', side: name, heldOut, seed, source: source.config },
    async *open(place): AsyncGenerator<Placed<E>> {
      for await (const placed of source.open(place)) {
        const held = random(seed, 'split', by(placed.example)).next() < heldOut
        if (held === (name === 'heldOut')) yield placed
      }
    },
  })
  return { train: side('train'), heldOut: side('heldOut') }
}
