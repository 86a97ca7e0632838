/**
 * Waiting for what may never come: Node ends a process that has nothing left to do, whatever is still awaited.
 *
 * @since 0.1.0
 */

/** A promise was awaited that nothing can settle any more. */
export const neverSettles = Symbol('neverSettles')

/** The promise's value, or {@link neverSettles} where the process runs out of work before it settles. */
export const unlessIdle = async <A>(promise: Promise<A>): Promise<A | typeof neverSettles> => {
  let idle = (): void => undefined
  const stuck = new Promise<typeof neverSettles>((done) => {
    idle = () => done(neverSettles)
  })
  process.once('beforeExit', idle)
  try {
    return await Promise.race([promise, stuck])
  } finally {
    process.removeListener('beforeExit', idle)
  }
}

/** Runs an action; where the process is ended meanwhile (`process.exit`), the last words are said. They are given the exit code. */
export const withLastWords = async <A>(say: (code: number) => void, act: () => Promise<A>): Promise<A> => {
  process.once('exit', say)
  try {
    return await act()
  } finally {
    process.removeListener('exit', say)
  }
}

/** An error that says of what nobody catches where it was thrown. */
const strayError = (e: unknown): Error => {
  const message = e instanceof Error ? e.message : String(e)
  const told = new Error(`something was thrown that nobody catches: ${message}`, { cause: e })
  if (e instanceof Error && e.stack !== undefined) told.stack = e.stack
  return told
}

/** Runs an action to its end whatever is thrown meanwhile that nobody catches; `told` is given the error of each. */
export const despiteStrays = async <A>(act: () => Promise<A>, told: (e: Error) => void): Promise<A> => {
  const stray = (e: unknown): void => told(strayError(e))
  process.on('uncaughtException', stray)
  try {
    return await act()
  } finally {
    process.removeListener('uncaughtException', stray)
  }
}

/** Runs an action; where something is thrown meanwhile that nobody catches, as in a timer, its error comes first. */
export const unlessStray = async <A>(act: () => Promise<A>): Promise<A> => {
  let stray = (_: unknown): void => undefined
  const thrown = new Promise<never>((_, fail) => {
    stray = (e) => fail(strayError(e))
  })
  process.on('uncaughtException', stray)
  try {
    return await Promise.race([act(), thrown])
  } finally {
    process.removeListener('uncaughtException', stray)
  }
}
