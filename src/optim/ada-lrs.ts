/**
 * AdaLRS (Dong et al., arXiv:2506.13274), as SAIL-VL2 (arXiv:2509.14033, eq. 1) prints it: the learning rate is searched
 * while the model trains, by what a change of it does to the slope of the loss.
 *
 * With v the descent velocity (minus the least-squares slope of the loss over a window of k steps; larger is faster) and e
 * its error:
 *
 *     η ← α′η  if v(α′η) > v(η) + 2e        α′ = max(λᵗα, 1)
 *         β′η  if v(α′η) < v(η) − 2e        β′ = 1 / max(λᵗβ, 1)
 *         η    otherwise                    t: trials that have ended
 *
 * A trial of α′η begins when a window descends more slowly than the one before it. In the second case parameters and
 * optimizer state go back to where the trial began. Trials are made in a part of training only.
 *
 * Three guards stand around it, the first from the paper, the others as its summaries tell them:
 * - A trial whose loss exceeds the highest loss so far (by more than three standard deviations of the noise) ends at once,
 *   as if it had been slower.
 * - Two windows in a row whose loss rises (by more than 1.7 standard errors) are rolled back, at η / β. After the search
 *   only where the loss is also higher than ever before, so that chance does not lower a scale that was found.
 * - A loss that is not finite is rolled back at once, at η / β.
 * The guards' factor is not decayed by λ: a search settles, a divergence does not.
 *
 * Pure: a reducer from (state, loss) to (decision, state). Who trains carries the decisions out; see {@link AdaLrs}.
 *
 * @since 0.1.0
 */
import * as t from 'io-ts'
import { onlySettings } from '../settings/index.ts'

/**
 * Settings of a search. What is not given is as in the paper, or where it is silent as said.
 *
 * @category model
 */
export interface AdaLrsSettings {
  /** All steps of the training that it is part of. */
  readonly steps: number
  /** α > 1: the factor of a trial. Default 3. */
  readonly alpha?: number
  /** β > 1: the divisor after a failure. Default 2. */
  readonly beta?: number
  /** λ in (0, 1]: how fast both factors decay to 1, by trials. Default 0.99; where trials are few, 0.95 settles sooner. */
  readonly lambda?: number
  /** The part of training in which trials begin and end, as two fractions of `steps`. Default [0.1, 0.4]. */
  readonly search?: readonly [from: number, to: number]
  /** k: steps of a window. The paper gives none; default a hundredth of the search, at least 8. */
  readonly window?: number
  /**
   * e: a fixed error of a velocity, in loss a step, or `standard`: the larger of the two slopes' standard errors. The paper
   * gives no number; default `standard`.
   */
  readonly error?: number | 'standard'
}

/**
 * A setting of AdaLRS that is none: `setting` names it, the message says what it is and what it may be.
 *
 * @category model
 */
export class AdaLrsError extends Error {
  readonly tag = 'BadAdaLrs'
  readonly setting: string
  constructor(setting: string, what: string, todo: string) {
    super(`adaLrs, ${setting}: ${what}; ${todo}`)
    this.name = 'AdaLrsError'
    this.setting = setting
  }
}

/** A least-squares line through a window's losses. */
const Fit = t.readonly(
  t.type({
    /** Minus the slope: loss a step, larger is faster. */
    velocity: t.number,
    /** The slope's standard error. */
    error: t.number,
    /** The standard deviation of the losses around the line. */
    noise: t.number,
  }),
)

/** What a window of losses says. @category model */
export type Fit = t.TypeOf<typeof Fit>

/**
 * The codec of {@link AdaLrsState}: plain JSON data, for checkpoints. A search that goes on from it goes on to the bit.
 *
 * @category model
 */
export const AdaLrsState = t.readonly(
  t.type({
    /** Losses seen, those of steps that were rolled back among them. */
    step: t.number,
    /** The factor on the schedule's learning rate for the next step. */
    scale: t.number,
    /** Trials that have ended. */
    trials: t.number,
    /** The losses of the window under way. */
    losses: t.readonlyArray(t.number),
    /** The window before it, where that ran at the same scale. */
    previous: t.union([Fit, t.null]),
    /** Whether the window before it rose. */
    rising: t.boolean,
    /** The highest loss of all windows that were kept. */
    highest: t.union([t.number, t.null]),
    /** The trial under way: the scale before it, and the window that it is measured against. */
    trial: t.union([t.readonly(t.type({ scale: t.number, against: Fit })), t.null]),
  }),
)

/** Where a search stands. @category model */
export type AdaLrsState = t.TypeOf<typeof AdaLrsState>

/** What a decision tells whoever trains. */
interface Told {
  /** Losses seen when it was taken. */
  readonly step: number
  /** The factor on the schedule's learning rate from now on. */
  readonly scale: number
  /** Keep a copy of parameters and optimizer state as they are now, in place of the copy before. */
  readonly mark: boolean
  /** Put the copy that was marked last back. */
  readonly rollBack: boolean
}

/**
 * What to do after a step, with the slopes that it rests on.
 *
 * - `Wait`: go on; a window is under way.
 * - `Watched`: a window has ended and nothing follows from it.
 * - `Tried`: the descent has slowed down; a trial of a higher scale begins.
 * - `Kept`: the trial was faster; its scale stays.
 * - `Left`: the trial was neither; the scale before it comes back, the parameters stay.
 * - `RolledBack`: the trial was slower (`slower`) or its loss exceeded all before (`exceeded`), or two windows rose
 *   (`rising`), or the loss was not finite (`notFinite`).
 *
 * @category model
 */
export type AdaLrsDecision =
  | (Told & { readonly _tag: 'Wait' })
  | (Told & { readonly _tag: 'Watched'; readonly window: Fit })
  | (Told & { readonly _tag: 'Tried'; readonly window: Fit; readonly previous: Fit; readonly from: number })
  | (Told & {
      readonly _tag: 'Kept' | 'Left'
      readonly window: Fit
      readonly against: Fit
      readonly error: number
    })
  | (Told & {
      readonly _tag: 'RolledBack'
      readonly why: 'slower' | 'exceeded' | 'rising' | 'notFinite'
      /** The loss that ended it. */
      readonly loss: number
      /** The window that was rolled back; null where it did not end. */
      readonly window: Fit | null
      readonly against: Fit | null
      /** The scale that was rolled back. */
      readonly from: number
    })

/**
 * A search as a reducer.
 *
 * Whoever trains marks before the first step, takes each step at schedule · `state.scale`, hands its loss to `next`, and
 * carries the decision out. The state goes into checkpoints; one is best written where {@link isAtMark}, because what was
 * marked is then what is saved. Guards act from the first step to the last, trials inside `search`.
 *
 * @category model
 */
export interface AdaLrs {
  /** The settings with all defaults, as plain data. */
  readonly config: Required<AdaLrsSettings>
  readonly start: AdaLrsState
  readonly next: (
    state: AdaLrsState,
    loss: number,
  ) => { readonly decision: AdaLrsDecision; readonly state: AdaLrsState }
}

/**
 * Whether parameters and optimizer state are now those that were marked last, so that a checkpoint is the mark as well.
 *
 * @category model
 */
export const isAtMark = (s: AdaLrsState): boolean => s.losses.length === 0 && !s.rising

// --- slopes -----------------------------------------------------------------------------------------------

/**
 * The least-squares line through losses of consecutive steps, three at least.
 *
 * @category slopes
 */
export const fitLosses = (losses: readonly number[]): Fit => {
  const n = losses.length
  const middle = (n - 1) / 2
  const level = losses.reduce((a, b) => a + b, 0) / n
  const spread = (n * (n * n - 1)) / 12 // Σ (i − middle)²
  const slope = losses.reduce((a, y, i) => a + (i - middle) * (y - level), 0) / spread
  const left = losses.reduce((a, y, i) => a + (y - level - slope * (i - middle)) ** 2, 0)
  const noise = Math.sqrt(left / (n - 2))
  return { velocity: -slope, error: noise / Math.sqrt(spread), noise }
}

/** Standard errors by which a window rises; a line through a loss that explodes at the window's end reaches √3 of them. */
const Rising = 1.7

// --- settings ---------------------------------------------------------------------------------------------

/** The highest loss, those of the window that has ended among them. */
const highestOf = (s: AdaLrsState): number =>
  s.losses.reduce((a, b) => Math.max(a, b), s.highest ?? -Infinity)

const number = (setting: string, x: unknown, fits: (x: number) => boolean, todo: string): number => {
  if (typeof x === 'number' && Number.isFinite(x) && fits(x)) return x
  throw new AdaLrsError(setting, `it is ${JSON.stringify(x) ?? String(x)}`, todo)
}

/** Windows that are left of a search when its last trial begins: its own, and those in which the guards may undo it. */
const After = 4
/** Windows of the shortest search: two to see the descent slow down, and those from a trial on. */
const Windows = 2 + After

const names = ['steps', 'alpha', 'beta', 'lambda', 'search', 'window', 'error']

const checked = (s: AdaLrsSettings): Required<AdaLrsSettings> => {
  onlySettings('adaLrs', s, names)
  const whole = (least: number) => (x: number) => Number.isSafeInteger(x) && x >= least
  const steps = number('steps', s.steps, whole(1), 'give the whole number of steps of the training')
  const alpha = number('alpha', s.alpha ?? 3, (x) => x > 1, 'give a factor above 1')
  const beta = number('beta', s.beta ?? 2, (x) => x > 1, 'give a divisor above 1')
  const lambda = number(
    'lambda',
    s.lambda ?? 0.99,
    (x) => x > 0 && x <= 1,
    'give a number above 0 and up to 1',
  )
  const [from, to] = s.search ?? [0.1, 0.4]
  const fraction = 'give two fractions of all steps, the first below the second, such as [0.1, 0.4]'
  number('search', from, (x) => x >= 0 && x < 1, fraction)
  number('search', to, (x) => x > from && x <= 1, fraction)
  const searched = Math.floor(to * steps) - Math.ceil(from * steps)
  const given = s.window ?? Math.max(8, Math.floor(searched / 100))
  const window = number('window', given, whole(3), 'give a whole number of steps from 3 up')
  if (searched < Windows * window)
    throw new AdaLrsError(
      'window',
      `it is ${window}, and the search from ${from} to ${to} of ${steps} steps has ${searched}`,
      `give one of which it holds ${Windows}, so that a trial fits in`,
    )
  const error = s.error ?? 'standard'
  if (error !== 'standard') number('error', error, (x) => x >= 0, "give a velocity from 0 up, or 'standard'")
  return { steps, alpha, beta, lambda, search: [from, to], window, error }
}

// --- the reducer ------------------------------------------------------------------------------------------

/**
 * AdaLRS with these settings.
 *
 * @example
 * const search = adaLrsReducer({ steps: 10_000 })
 * const { decision, state } = search.next(search.start, 2.31)
 * decision._tag // 'Wait'
 * state.scale // 1
 *
 * @throws AdaLrsError where a setting is out of its range
 * @category constructors
 */
export const adaLrsReducer = (settings: AdaLrsSettings): AdaLrs => {
  const config = checked(settings)
  const { steps, alpha, beta, lambda, window, search } = config
  const [from, to] = [Math.ceil(search[0] * steps), Math.floor(search[1] * steps)]

  const start: AdaLrsState = {
    step: 0,
    scale: 1,
    trials: 0,
    losses: [],
    previous: null,
    rising: false,
    highest: null,
    trial: null,
  }

  const decayed = (factor: number, trials: number): number => Math.max(lambda ** trials * factor, 1)

  const rolledBack = (
    s: AdaLrsState,
    why: 'slower' | 'exceeded' | 'rising' | 'notFinite',
    loss: number,
    fit: Fit | null,
  ) => {
    const tried = why === 'slower' || why === 'exceeded'
    const before = s.trial?.scale ?? s.scale
    const scale = before / (tried ? decayed(beta, s.trials) : beta)
    const state: AdaLrsState = {
      ...s,
      scale,
      trials: s.trials + (s.trial === null ? 0 : 1),
      losses: [],
      previous: null,
      rising: false,
      trial: null,
    }
    const against = s.trial?.against ?? s.previous
    const decision: AdaLrsDecision = {
      _tag: 'RolledBack',
      step: s.step,
      scale,
      mark: false,
      rollBack: true,
      why,
      loss,
      window: fit,
      against,
      from: s.scale,
    }
    return { decision, state }
  }

  /** A trial's window has ended. */
  const judged = (s: AdaLrsState, trial: NonNullable<AdaLrsState['trial']>, loss: number, fit: Fit) => {
    const { against } = trial
    const error = config.error === 'standard' ? Math.max(against.error, fit.error) : config.error
    if (fit.velocity < against.velocity - 2 * error) return rolledBack(s, 'slower', loss, fit)
    const kept = fit.velocity > against.velocity + 2 * error
    const scale = kept ? s.scale : trial.scale
    const state: AdaLrsState = {
      ...s,
      scale,
      trials: s.trials + 1,
      losses: [],
      previous: kept ? fit : against,
      highest: highestOf(s),
      trial: null,
    }
    const told = { step: s.step, scale, mark: true, rollBack: false, window: fit, against, error }
    return { decision: { _tag: kept ? ('Kept' as const) : ('Left' as const), ...told }, state }
  }

  /** A window without a trial has ended. */
  const watched = (s: AdaLrsState, loss: number, fit: Fit) => {
    const rising = fit.velocity < -Rising * fit.error
    if (rising && s.rising && (s.step <= to || loss > (s.highest ?? Infinity)))
      return rolledBack(s, 'rising', loss, fit)
    const { previous } = s
    const scale = s.scale * decayed(alpha, s.trials)
    const tries =
      !rising &&
      previous !== null &&
      fit.velocity < previous.velocity &&
      scale > s.scale &&
      s.step >= from &&
      s.step + After * window <= to
    const state: AdaLrsState = {
      ...s,
      losses: [],
      previous: fit,
      rising,
      highest: rising ? s.highest : highestOf(s),
      ...(tries ? { scale, trial: { scale: s.scale, against: fit } } : {}),
    }
    const told = { step: s.step, scale: state.scale, mark: !rising, rollBack: false, window: fit }
    const decision: AdaLrsDecision = tries
      ? { _tag: 'Tried', ...told, previous, from: s.scale }
      : { _tag: 'Watched', ...told }
    return { decision, state }
  }

  return {
    config,
    start,
    next: (before, loss) => {
      const step = before.step + 1
      const s: AdaLrsState = { ...before, step, losses: [...before.losses, loss] }
      if (!Number.isFinite(loss)) return rolledBack(s, 'notFinite', loss, null)
      if (s.trial !== null && s.highest !== null && loss > s.highest + 3 * s.trial.against.noise)
        return rolledBack(s, 'exceeded', loss, null)
      if (s.losses.length < window)
        return {
          decision: { _tag: 'Wait', step, scale: s.scale, mark: false, rollBack: false },
          state: s,
        }
      const fit = fitLosses(s.losses)
      return s.trial === null ? watched(s, loss, fit) : judged(s, s.trial, loss, fit)
    },
  }
}
