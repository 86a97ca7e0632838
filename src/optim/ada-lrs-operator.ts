/**
 * AdaLRS over a stream: each event with its decision.
 *
 * @since 0.1.0
 */
import { type OperatorFunction, scan } from 'rxjs'
import { type AdaLrsDecision, type AdaLrsSettings, type AdaLrsState, adaLrsReducer } from './ada-lrs.ts'

/** An event of a training step, and what the search makes of its loss. */
export interface Searched<E> {
  readonly event: E
  readonly decision: AdaLrsDecision
  /** For the checkpoint: with it as `from` the search goes on. */
  readonly state: AdaLrsState
}

/**
 * Adds to each step's event what AdaLRS decides after it. It emits when the source emits, completes and fails with it, and
 * keeps nothing outside its `scan`: each subscription is a search of its own.
 *
 * ```
 * source   --{loss: 3}--{loss: 2}--|
 *          adaLrs(settings)
 * result   --{Wait}-----{Wait}-----|
 * ```
 *
 * @param from where an earlier search stopped
 * @throws AdaLrsError where a setting is out of its range, at once and not on subscription
 * @category operators
 */
export const adaLrs = <E extends { readonly loss: number }>(
  settings: AdaLrsSettings,
  from?: AdaLrsState,
): OperatorFunction<E, Searched<E>> => {
  const search = adaLrsReducer(settings)
  const begin: { readonly state: AdaLrsState } = { state: from ?? search.start }
  return scan<E, Searched<E>, { readonly state: AdaLrsState }>(
    ({ state }, event) => ({ event, ...search.next(state, event.loss) }),
    begin,
  )
}
