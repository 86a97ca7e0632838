/**
 * Log-probabilities of what was drawn, under the reference.
 *
 * @since 0.1.0
 */
import type { MonoTypeOperatorFunction } from 'rxjs'
import { onlySettings } from '../../settings/index.ts'
import type { RatedGroup } from '../group.ts'
import { referenceFunction } from '../reference.ts'
import type { Columns } from '../task.ts'
import { addedToKept } from './kept-groups.ts'
import type { RecomputedOptions } from './recomputed.ts'

/**
 * Adds to each kept group the log-probabilities of its tokens under the reference that the session's program keeps, which a
 * penalty on leaving it reads. The reference does not change: it does not matter when they are taken.
 *
 * Groups that come together, or while others are computed, share the calls. The stream fails with the source and with the engine.
 *
 * ```text
 * groups   -A-b-C-----|          b was left out
 * session    --  --
 * result   ---(Ab)C---|
 * ```
 *
 * @category operators
 */
export const withReference = <C extends Columns>(
  options: RecomputedOptions,
): MonoTypeOperatorFunction<RatedGroup<C>> => {
  const { session, objective } = onlySettings('withReference', options, ['session', 'objective'])
  return addedToKept(
    (experiences) => objective.logProbs(session, experiences, referenceFunction),
    (referenceLogProbs) => ({ referenceLogProbs }),
  )
}
