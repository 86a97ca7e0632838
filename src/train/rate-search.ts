/**
 * AdaLRS in a stage: the reducer decides after each step, and what it decides is carried out on the session.
 *
 * @since 0.1.0
 */
import type { Session } from '../engine/index.ts'
import type { AdaLrs, AdaLrsDecision, AdaLrsState } from '../optim/index.ts'
import type { EventOf } from '../run/index.ts'
import { type Mark, mark, rollBack } from './update.ts'

/** Where a search stands, with the copy that it may put back. */
export interface RateSearch {
  readonly state: AdaLrsState
  readonly mark: Mark
}

/** Begins a search, or goes on with one whose session is at its mark. */
export const beginSearch = async (
  session: Session,
  adaLrs: AdaLrs,
  from?: AdaLrsState,
): Promise<RateSearch> => ({
  state: from ?? adaLrs.start,
  mark: await mark(session),
})

/**
 * Hands a step's loss to the search and does what it decides: marks the session, or puts the mark back.
 *
 * @param loss not finite where the loss or its gradient was not
 */
export const searched = async (
  session: Session,
  adaLrs: AdaLrs,
  search: RateSearch,
  loss: number,
): Promise<{ readonly decision: AdaLrsDecision; readonly search: RateSearch }> => {
  const { decision, state } = adaLrs.next(search.state, loss)
  if (decision.rollBack) await rollBack(session, search.mark)
  return { decision, search: { state, mark: decision.mark ? await mark(session) : search.mark } }
}

/** A decision as an event; undefined where a window is still under way. */
export const decisionEvent = (
  stage: string,
  step: number,
  d: AdaLrsDecision,
): EventOf<'ada-lrs'> | undefined => {
  if (d._tag === 'Wait') return undefined
  const against = d._tag === 'Tried' ? d.previous : d._tag === 'Watched' ? null : d.against
  return {
    ...{ type: 'ada-lrs', stage, step, decision: d._tag, scale: d.scale },
    velocity: d.window?.velocity ?? null,
    ...(against === null ? {} : { against: against.velocity }),
    ...('error' in d ? { error: d.error } : {}),
    ...('from' in d ? { from: d.from } : {}),
    ...('why' in d ? { why: d.why } : {}),
  }
}
