/**
 * What is compiled for long, in the lines of a log.
 *
 * @since 0.1.0
 */
import { duration } from './format.ts'

/** Something that is compiled before work goes on, and for how long it has been. */
export interface Compiling {
  /** A function's name, or a program's where the engine compiles it whole. */
  readonly what: string
  readonly seconds: number
  /** Whether it has ended. */
  readonly done: boolean
}

/** Seconds of which nothing is said. */
const long = 5

/**
 * Gives the line by which a log says once that something is compiled, and once how long it took; undefined where there is nothing
 * to say, as where it takes less than five seconds.
 */
export const compilingLines = (): ((c: Compiling) => string | undefined) => {
  const told = new Set<string>()
  return ({ what, seconds, done }) => {
    if (seconds < long || (!done && told.has(what))) return undefined
    if (!done) {
      told.add(what)
      return `compiling ${what} …`
    }
    told.delete(what)
    return `compiled ${what} in ${duration(seconds)}`
  }
}
