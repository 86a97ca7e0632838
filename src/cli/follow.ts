/**
 * Following a stream to its end, or until the user stops it.
 *
 * @since 0.1.0
 */
import type { Observable } from 'rxjs'
import type { Io } from './command.ts'

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
