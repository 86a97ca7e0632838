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

/** Runs an action; where the process is ended meanwhile (`process.exit`), the last words are said. */
export const withLastWords = async <A>(say: () => void, act: () => Promise<A>): Promise<A> => {
  process.once('exit', say)
  try {
    return await act()
  } finally {
    process.removeListener('exit', say)
  }
}
