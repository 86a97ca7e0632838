/**
 * Log-probabilities of what was drawn, taken anew.
 *
 * @since 0.1.0
 */
import type { MonoTypeOperatorFunction } from 'rxjs'
import type { Session } from '../../engine/index.ts'
import { onlySettings } from '../../settings/index.ts'
import type { RatedGroup } from '../group.ts'
import type { PolicyGradient } from '../policy-gradient.ts'
import type { Columns } from '../task.ts'
import { addedToKept } from './kept-groups.ts'

/** Settings of {@link recomputed}. */
export interface RecomputedOptions {
  /** Of a program with the objective's functions. */
  readonly session: Session
  readonly objective: Pick<PolicyGradient, 'logProbs'>
}

/**
 * Adds to each kept group the log-probabilities of its tokens under the session's weights as they are when it comes: the old
 * policy of a loss whose tokens another policy drew. Before {@link minibatches}, which holds all groups of an episode back,
 * these are the weights before the episode's first update.
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
export const recomputed = <C extends Columns>(
  options: RecomputedOptions,
): MonoTypeOperatorFunction<RatedGroup<C>> => {
  const { session, objective } = onlySettings('recomputed', options, ['session', 'objective'])
  return addedToKept(
    (experiences) => objective.logProbs(session, experiences),
    (oldLogProbs) => ({ oldLogProbs }),
  )
}
