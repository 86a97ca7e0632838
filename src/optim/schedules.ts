/**
 * Learning-rate schedules: pure functions from the number of a step to a factor of the peak learning rate.
 *
 * Steps count from 0, and the factor of step n is the one that update n uses, as in torch's `LambdaLR`: a linear
 * warm-up from 0 therefore begins with an update of factor 0. Past its last step a schedule keeps its last value.
 *
 * @example
 * const factor = pipe(linearWarmup(100), followedBy(100, decay({ steps: 900, shape: 'cosine' }))) // Schedule
 * factor(50) // 0.5
 * factor(100) // 1
 *
 * @since 0.1.0
 */
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import * as t from 'io-ts'
import { onlySettings } from '../settings/index.ts'

/**
 * The learning rate, or its factor, at a step.
 *
 * @category model
 */
export type Schedule = (step: number) => number

/**
 * A setting that makes no schedule: `setting` names it, the message says what it is and what it may be.
 *
 * @category model
 */
export class ScheduleError extends Error {
  readonly tag = 'BadSchedule'
  readonly setting: string
  constructor(setting: string, what: string, todo: string) {
    super(`schedule, ${setting}: ${what}; ${todo}`)
    this.name = 'ScheduleError'
    this.setting = setting
  }
}

const wholeFrom = (least: number, setting: string, n: number): number => {
  if (Number.isSafeInteger(n) && n >= least) return n
  throw new ScheduleError(setting, `it is ${n}`, `give a whole number of steps from ${least} up`)
}

const ratio = (setting: string, r: number): number => {
  if (r >= 0 && r <= 1) return r
  throw new ScheduleError(setting, `it is ${r}`, 'give a number from 0 to 1')
}

// --- pieces -----------------------------------------------------------------------------------------------

/**
 * The same value at every step.
 *
 * @category constructors
 * @throws ScheduleError where it is negative or not finite
 */
export const constantRate = (value = 1): Schedule => {
  if (!(value >= 0 && value < Infinity))
    throw new ScheduleError('value', `it is ${value}`, 'give a finite factor from 0 up')
  return () => value
}

/**
 * From `start` at step 0 in a straight line to 1 at step `steps`, and 1 from there on.
 *
 * @category constructors
 * @throws ScheduleError where `steps` is not a whole number from 0 up, or `start` is not between 0 and 1
 */
export const linearWarmup = (steps: number, start = 0): Schedule => {
  wholeFrom(0, 'warmup', steps)
  ratio('start', start)
  return (step) => (step < steps ? start + (1 - start) * (step / steps) : 1)
}

/**
 * How a decay falls, by its progress p from 0 to 1: `linear` 1 − p; `cosine` (1 + cos πp) / 2 (Loshchilov and
 * Hutter, arXiv:1608.03983, eq. 5); `1-sqrt` 1 − √p (Hägele et al., arXiv:2405.18392).
 */
const shapes = {
  linear: (p: number): number => 1 - p,
  cosine: (p: number): number => (1 + Math.cos(Math.PI * p)) / 2,
  '1-sqrt': (p: number): number => 1 - Math.sqrt(p),
} as const

/**
 * The names of the ways in which a decay falls.
 *
 * @category model
 */
export type DecayShape = keyof typeof shapes

/**
 * From 1 at step 0 to `minRatio` at step `steps`, and `minRatio` from there on.
 *
 * @category constructors
 * @throws ScheduleError where `steps` is not a whole number from 1 up, `minRatio` not between 0 and 1, or `shape` none
 */
export const decay = (c: {
  readonly steps: number
  readonly shape: DecayShape
  readonly minRatio?: number
}): Schedule => {
  onlySettings('decay', c, ['steps', 'shape', 'minRatio'])
  const steps = wholeFrom(1, 'steps', c.steps)
  const least = ratio('minRatio', c.minRatio ?? 0)
  if (!Object.hasOwn(shapes, c.shape))
    throw new ScheduleError('shape', `it is ${c.shape}`, `give one of ${Object.keys(shapes).join(', ')}`)
  const fall = shapes[c.shape]
  return (step) => (step >= steps ? least : least + (1 - least) * fall(step / steps))
}

/**
 * One schedule for so many steps, then another, which counts its steps from there.
 *
 * @category combinators
 * @throws ScheduleError where `steps` is not a whole number from 0 up
 */
export const followedBy = (steps: number, next: Schedule): ((first: Schedule) => Schedule) => {
  wholeFrom(0, 'steps', steps)
  return (first) => (step) => (step < steps ? first(step) : next(step - steps))
}

/**
 * A schedule of factors times a peak: the learning rate itself.
 *
 * @category combinators
 * @throws ScheduleError where `peak` is negative or not finite
 */
export const scaledBy = (peak: number): ((schedule: Schedule) => Schedule) => {
  if (!(peak >= 0 && peak < Infinity))
    throw new ScheduleError('peak', `it is ${peak}`, 'give a finite learning rate from 0 up')
  return (schedule) => (step) => peak * schedule(step)
}

// --- schedules as data ------------------------------------------------------------------------------------

/** Whole steps, or a fraction below 1 of all steps (rounded up). */
const Span = t.number

const Common = t.partial({
  /** The linear warm-up: whole steps, or a fraction below 1 of all steps. Default 0. */
  warmup: Span,
  /** The factor at which the warm-up begins. Default 0; in a `wsd` schedule `minRatio`. */
  start: t.number,
  /** All steps, the warm-up among them. Default: the steps of the stage that uses the schedule. */
  steps: t.number,
})

/** The codec of {@link ScheduleSpec}, for configuration that comes from outside. */
export const ScheduleSpec = t.union([
  t.intersection([t.type({ kind: t.literal('constant') }), Common]),
  t.intersection([t.type({ kind: t.literal('linear') }), t.partial({ minRatio: t.number }), Common]),
  t.intersection([t.type({ kind: t.literal('cosine') }), t.partial({ minRatio: t.number }), Common]),
  t.intersection([
    t.type({ kind: t.literal('wsd'), decay: Span }),
    t.partial({ minRatio: t.number, shape: t.keyof({ linear: null, cosine: null, '1-sqrt': null }) }),
    Common,
  ]),
])

/**
 * A schedule as data, for recipes that are configuration.
 *
 * - `constant`: warm-up, then 1.
 * - `linear`, `cosine`: warm-up, then a decay to `minRatio` (default 0) over the steps that are left.
 * - `wsd`: warm-up, 1, and a decay of `shape` (default cosine) to `minRatio` over the last `decay` steps
 *   (warm-up-stable-decay; Hu et al., arXiv:2404.06395); its warm-up begins at `minRatio`, as transformers' does.
 *
 * `warmup` and `decay` are whole steps, or a fraction below 1 of all steps, rounded up.
 *
 * @category model
 */
export type ScheduleSpec = t.TypeOf<typeof ScheduleSpec>

const kinds = ['constant', 'linear', 'cosine', 'wsd']

const span = (setting: string, n: number, steps: number | undefined): number => {
  if (!(n > 0 && n < 1)) return wholeFrom(0, setting, n)
  if (steps === undefined)
    throw new ScheduleError(setting, `it is ${n} of all steps, whose number is not given`, 'give steps')
  return Math.ceil(n * steps)
}

const build = (spec: ScheduleSpec, stageSteps: number | undefined): Schedule => {
  const given = spec.steps ?? stageSteps
  const total = given === undefined ? undefined : wholeFrom(1, 'steps', given)
  const warmup = span('warmup', spec.warmup ?? 0, total)
  const rise = linearWarmup(warmup, spec.start ?? (spec.kind === 'wsd' ? (spec.minRatio ?? 0) : 0))
  if (spec.kind === 'constant') return rise
  if (total === undefined)
    throw new ScheduleError('steps', 'it is not given', `a ${spec.kind} schedule needs it`)
  if (warmup >= total)
    throw new ScheduleError('warmup', `it takes ${warmup} of ${total} steps`, 'leave steps for the decay')
  if (spec.kind !== 'wsd')
    return pipe(
      rise,
      followedBy(warmup, decay({ steps: total - warmup, shape: spec.kind, minRatio: spec.minRatio ?? 0 })),
    )
  const last = wholeFrom(1, 'decay', span('decay', spec.decay, total))
  if (warmup + last > total)
    throw new ScheduleError(
      'decay',
      `warm-up and decay take ${warmup} + ${last} of ${total} steps`,
      'make one of them shorter',
    )
  const fall = decay({ steps: last, shape: spec.shape ?? 'cosine', minRatio: spec.minRatio ?? 0 })
  return pipe(rise, followedBy(total - last, fall))
}

/**
 * The schedule of factors that a specification describes. The specification may come from outside: it is
 * decoded and checked.
 *
 * @param spec a {@link ScheduleSpec}
 * @param stageSteps the steps of the stage, which `steps` in the specification overrides
 * @category constructors
 */
export const schedule = (spec: unknown, stageSteps?: number): E.Either<ScheduleError, Schedule> => {
  const decoded = ScheduleSpec.decode(spec)
  if (E.isLeft(decoded)) return E.left(notASpec(spec))
  try {
    return E.right(build(decoded.right, stageSteps))
  } catch (e) {
    if (e instanceof ScheduleError) return E.left(e)
    throw e
  }
}

/** Which setting of something that is no specification is wrong. */
const notASpec = (spec: unknown): ScheduleError => {
  const fields = (typeof spec === 'object' && spec !== null ? spec : {}) as Record<string, unknown>
  if (!kinds.includes(fields.kind as string))
    return new ScheduleError(
      'kind',
      `it is ${JSON.stringify(fields.kind)}`,
      `give one of ${kinds.join(', ')}`,
    )
  if (fields.shape !== undefined && !Object.hasOwn(shapes, String(fields.shape)))
    return new ScheduleError(
      'shape',
      `it is ${JSON.stringify(fields.shape)}`,
      `give one of ${Object.keys(shapes).join(', ')}`,
    )
  const numbers = ['warmup', 'start', 'steps', 'minRatio', ...(fields.kind === 'wsd' ? ['decay'] : [])]
  const wrong = numbers.find(
    (n) => typeof fields[n] !== 'number' && (n === 'decay' || fields[n] !== undefined),
  )
  return new ScheduleError(
    wrong ?? 'spec',
    `it is ${JSON.stringify(fields[wrong ?? 'kind'])}`,
    'give a number',
  )
}
