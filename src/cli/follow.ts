/**
 * Following a stream to its end, or until the user stops it.
 *
 * @since 0.1.0
 */
import type { Observable } from 'rxjs'
import type { Io } from './command.ts'
import { neverSettles, unlessIdle, unlessStray, withLastWords } from './idle.ts'

/** How a stream ended. */
export type Ended =
  | { readonly how: 'finished' }
  | { readonly how: 'failed'; readonly error: unknown }
  | { readonly how: 'interrupted' }

/** Subscribes and waits. An interrupt unsubscribes: what the stream has in hand is ended by its own teardown. */
export const follow = <A>(
  source: Observable<A>,
  io: Pick<Io, 'onInterrupt'>,
  next?: (a: A) => void,
): Promise<Ended> =>
  new Promise((resolve) => {
    const subscription = source.subscribe({
      next: (a) => next?.(a),
      error: (e) => end({ how: 'failed', error: e }),
      complete: () => end({ how: 'finished' }),
    })
    const forget = io.onInterrupt(() => {
      subscription.unsubscribe()
      end({ how: 'interrupted' })
    })
    function end(ended: Ended): void {
      // a stream may end while it is being subscribed to, before there is a listener to remove
      queueMicrotask(() => forget())
      resolve(ended)
    }
  })

/** What the process ends with for a signal, of which the user knows. */
const bySignal: readonly number[] = [129, 130, 143]

/**
 * Follows a run. One that neither goes on nor ends has failed, and so has one beside which something is thrown that nobody
 * catches. Where the experiment ends the process, that is said.
 *
 * @param further how the run goes on
 */
export const followRun = async <A>(
  stream: Observable<A>,
  io: Pick<Io, 'onInterrupt'>,
  further: string,
): Promise<Ended> => {
  const { Subject, takeUntil } = await import('rxjs')
  const stop = new Subject<void>()
  const left = (code: number): void => {
    if (bySignal.includes(code)) return
    process.stderr.write(
      `sailwright: the experiment ended the process (process.exit) before the run's end. ${further}\n`,
    )
    if (code === 0) process.exitCode = 1
  }
  const ended = await withLastWords(left, () =>
    unlessStray(() => unlessIdle(follow(stream.pipe(takeUntil(stop)), io))),
  ).catch((error): Ended => {
    stop.next()
    return { how: 'failed', error }
  })
  return ended === neverSettles
    ? {
        how: 'failed',
        error: new Error(
          'the run neither goes on nor ends: it waits for something that nothing settles any more',
        ),
      }
    : ended
}
