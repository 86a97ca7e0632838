/**
 * An observable as an iteration.
 *
 * @since 0.1.0
 */
import type { Observable } from 'rxjs'

/**
 * What an observable emits, one after the other: it is subscribed to with the first `next`; what comes faster than it is
 * taken waits. Ending the iteration unsubscribes. It throws the observable's error behind what came before it.
 */
export async function* valuesOf<A>(source: Observable<A>): AsyncGenerator<A, void> {
  const waiting: A[] = []
  let ended = false
  let fault: { readonly error: unknown } | undefined
  let wake = (): void => undefined
  const subscription = source.subscribe({
    next: (a) => {
      waiting.push(a)
      wake()
    },
    error: (error) => {
      fault = { error }
      wake()
    },
    complete: () => {
      ended = true
      wake()
    },
  })
  try {
    for (;;) {
      const next = waiting.shift()
      if (next !== undefined) yield next
      else if (fault !== undefined) throw fault.error
      else if (ended) return
      else
        await new Promise<void>((resolve) => {
          wake = resolve
        })
    }
  } finally {
    subscription.unsubscribe()
  }
}
