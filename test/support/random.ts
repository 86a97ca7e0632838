/** Random numbers, axes and orders that a seed decides. */
import { type Axis, axis } from '../../src/dsl/axis.ts'
import { random as stream } from '../../src/random/index.ts'

/** Draws in [0, 1) that belong to a seed. */
export const random = (seed: number): (() => number) => stream('graphs', seed).next

/** `n` numbers between −2 and 2 with no ties to speak of. */
export const numbers = (n: number, next: () => number): number[] =>
  Array.from({ length: n }, () => Math.fround(next() * 4 - 2))

/** Axes of sizes 1 to 4 under these names, as a function of the generator. */
export const axesOf = (names: readonly string[], next: () => number): Axis[] =>
  names.map((n) => axis(n, 1 + Math.floor(next() * 4)))

/** The items in a random order. */
export const shuffled = <T>(items: readonly T[], next: () => number): T[] => {
  const left = [...items]
  const out: T[] = []
  while (left.length > 0) out.push(left.splice(Math.floor(next() * left.length), 1)[0]!)
  return out
}
