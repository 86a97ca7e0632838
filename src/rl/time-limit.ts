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

/** Milliseconds for which something held this thread until it was stopped. */
let held = 0

/** Tells that this thread was held for so long, by what was then stopped: what waited meanwhile is not late. */
export const wasHeld = (ms: number): void => {
  held += ms
}

/**
 * Calls `over` once, `ms` milliseconds from now. Where something held this thread meanwhile and was stopped, that time is given
 * again. Where the timer fires late by half a second or more, this process stood still, and what was waited for could not be
 * heard either: the time is given again, three times at most. The answer ends the waiting.
 *
 * @param since when something last came that shows that what is waited for goes on, as `performance.now()` has it: the time
 *   counts from there; default: from now
 */
export const timeLimit = (
  ms: number,
  over: () => void,
  since = () => Number.NEGATIVE_INFINITY,
): (() => void) => {
  let timer: NodeJS.Timeout
  const wait = (inMs: number, left: number): void => {
    const due = performance.now() + inMs
    const before = held
    timer = setTimeout(() => {
      if (held > before) wait(held - before, left)
      else if (left > 0 && performance.now() - due >= slack) wait(ms, left - 1)
      else if (since() + ms > performance.now()) wait(since() + ms - performance.now(), left)
      else over()
    }, inMs)
  }
  wait(ms, again)
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
