/**
 * Measurements between steps.
 *
 * @since 0.1.0
 */
import { concat, concatMap, defer, type Observable, type OperatorFunction, of } from 'rxjs'
import { onlySettings } from '../../settings/index.ts'
import { wholeSetting } from '../../train/index.ts'

/** Settings of {@link evaluateEvery}. */
export interface EvaluateEveryOptions<S, E> {
  /** Steps between measurements. */
  readonly every: number
  /** Steps that came before the first one; default 0. */
  readonly after?: number
  /** Measures after a step; what it emits comes behind the step. */
  readonly evaluate: (step: S) => Observable<E>
}

/**
 * Passes steps on and measures after each `every`-th one. The next step waits until the measurement is over, so that it
 * measures the weights of its step.
 *
 * It holds back what is emitted, and not the work behind it: put it where steps are pulled, or where the source waits for what it
 * emitted to be taken.
 *
 * ```text
 * steps    -1--2--3--4-|
 *          evaluateEvery({ every: 2, evaluate })      evaluate: ee|
 * result   -1--2ee3--4ee-|
 * ```
 *
 * @throws RecipeError where a setting is none, at once
 * @category operators
 */
export const evaluateEvery = <S, E>(options: EvaluateEveryOptions<S, E>): OperatorFunction<S, S | E> => {
  const where = 'evaluateEvery'
  const { every, after = 0, evaluate } = onlySettings(where, options, ['every', 'after', 'evaluate'])
  wholeSetting(where, 'every', every, 1)
  wholeSetting(where, 'after', after, 0)
  return (steps$) =>
    steps$.pipe(
      concatMap(
        (step, i): Observable<S | E> =>
          (after + i + 1) % every === 0
            ? concat(
                of(step),
                defer(() => evaluate(step)),
              )
            : of(step),
      ),
    )
}
