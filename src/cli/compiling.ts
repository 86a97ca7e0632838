/**
 * What is compiled for long before a command can go on, told on the terminal.
 *
 * @since 0.3.0
 */
import type { Compiling } from '../engine/index.ts'
import { duration } from '../terminal/index.ts'
import type { Io } from './command.ts'

/** Seconds of which nothing is said. */
const long = 5

/** Says once that something is compiled, and how long it took, where that is longer than five seconds. */
export const tellCompiling = (io: Pick<Io, 'stderr'>) => {
  const told = new Set<string>()
  return ({ what, seconds, done }: Compiling): void => {
    if (seconds < long || (!done && told.has(what))) return
    if (done) told.delete(what)
    else told.add(what)
    io.stderr.write(done ? `compiled ${what} in ${duration(seconds)}\n` : `compiling ${what} …\n`)
  }
}
