/**
 * AdaLRS in a stage: the reducer decides after each step, and what it decides is carried out on the session.
 *
 * @since 0.1.0
 */
import type { Session } from '../engine/index.ts'
import {
  type AdaLrs,
  type AdaLrsDecision,
  type AdaLrsSettings,
  adaLrsReducer,
  isAtMark,
} from '../optim/index.ts'
import type { EventOf, StageProgress } from '../run/index.ts'
import { kindOf } from '../settings/index.ts'
import { RecipeError, settingWithin } from './setting-checks.ts'
import { mark, rollBack } from './update.ts'

/**
 * A stage's search, of its settings.
 *
 * @param note what is said of the number of steps beside a fault
 * @throws RecipeError
 */
export const searchSetting = (
  where: string,
  given: Omit<AdaLrsSettings, 'steps'>,
  steps: number,
  note = '',
): AdaLrs => {
  if (kindOf(given) !== 'a record')
    throw new RecipeError(where, 'adaLrs', `it is ${kindOf(given)}; give a record of settings, such as {}`)
  try {
    return adaLrsReducer({ ...given, steps })
  } catch (e) {
    throw settingWithin(where, 'adaLrs', e as Error, note)
  }
}

/** A search for a stage's learning rate, on its session. */
interface RateSearch {
  /** The factor on the schedule's learning rate. */
  readonly scale: () => number
  /** Whether the session is at the search's mark: only there can a later start go on from it. */
  readonly isAtMark: () => boolean
  /**
   * Takes a step's loss and does what the search decides: marks the session, or puts the mark back. The loss is not finite where
   * the step's loss or gradient was not. Undefined while a window is under way.
   */
  readonly took: (step: number, loss: number) => Promise<EventOf<'ada-lrs'> | undefined>
  /** What a checkpoint keeps of it. */
  readonly progress: () => Pick<StageProgress, 'adaLrs'>
}

/** A rate that nothing searches for. */
const fixedRate: RateSearch = {
  scale: () => 1,
  isAtMark: () => true,
  took: async () => undefined,
  progress: () => ({}),
}

/** A decision as an event; undefined where a window is still under way. */
const decisionEvent = (stage: string, step: number, d: AdaLrsDecision): EventOf<'ada-lrs'> | undefined => {
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

/** Begins a search, or goes on with one whose session is at its mark; without one the rate is the schedule's. */
export const rateSearch = async (
  stage: string,
  session: Session,
  adaLrs: AdaLrs | undefined,
  from: Pick<StageProgress, 'adaLrs'>,
): Promise<RateSearch> => {
  if (adaLrs === undefined) return fixedRate
  let state = from.adaLrs ?? adaLrs.start
  let marked = await mark(session)
  return {
    scale: () => state.scale,
    isAtMark: () => isAtMark(state),
    took: async (step, loss) => {
      const { decision, state: after } = adaLrs.next(state, loss)
      if (decision.rollBack) await rollBack(session, marked)
      if (decision.mark) marked = await mark(session)
      state = after
      return decisionEvent(stage, step, decision)
    },
    progress: () => ({ adaLrs: state }),
  }
}
