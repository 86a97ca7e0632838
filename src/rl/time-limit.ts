/**
 * Time limits of a process that may itself be stopped (Ctrl-Z, a machine asleep or overloaded): what it then kept waiting is
 * not late.
 *
 * @since 0.1.0
 */

/** Milliseconds of which a process that goes on knows nothing, from which on it stood still. */
const slack = 500

/** How often time is given again. */
const again = 3

/**
 * Calls `over` once, `ms` milliseconds from now. Where the timer fires late by half a second or more, this process stood still, and
 * what was waited for could not be heard either: the time is given again, three times at most. The answer ends the waiting.
 */
export const timeLimit = (ms: number, over: () => void): (() => void) => {
  let timer: NodeJS.Timeout
  const wait = (left: number): void => {
    const due = performance.now() + ms
    timer = setTimeout(() => {
      if (left > 0 && performance.now() - due >= slack) wait(left - 1)
      else over()
    }, ms)
  }
  wait(again)
  return () => clearTimeout(timer)
}

/** An answer that comes within a {@link timeLimit}, else what `late` gives in its place. */
export const inTime = async <A, B>(
  ms: number,
  ask: () => A | PromiseLike<A>,
  late: () => B,
): Promise<Awaited<A> | B> => {
  let stop = (): void => {}
  const over = new Promise<B>((resolve) => {
    stop = timeLimit(ms, () => resolve(late()))
  })
  try {
    return await Promise.race([ask(), over])
  } finally {
    stop()
  }
}
