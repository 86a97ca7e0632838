/**
 * The numbers by which tokens are drawn: one for each token of each answer, a function of the run's seed, the task, the
 * sample and the token's position alone. What else is in a batch, and which engine runs it, does not enter.
 *
 * @since 0.1.0
 */
import { keyOf, type Seed, wordsFrom } from '../random/index.ts'

/** A number from 0, below 1, for the token at each place of an answer, from 0. */
export type Uniforms = (place: number) => number

/** Bits of a number: as many as float32 keeps when it is multiplied with a sum near 1. */
const bits = 23

/**
 * The numbers of one answer.
 *
 * @throws RangeError where the seed or the sample is no safe integer
 */
export const uniforms = (seed: Seed, task: string, sample: number): Uniforms => {
  const key = keyOf(seed, 'answer', task, sample)
  const block = new Int32Array(4)
  let held = -1
  return (place) => {
    const wanted = Math.floor(place / 4)
    if (wanted !== held) wordsFrom(key, wanted, block)
    held = wanted
    return (block[place % 4]! >>> (32 - bits)) / 2 ** bits
  }
}
