/**
 * The learning rate's course over a stage, as a factor of its peak: one of the shipped schedules, or a user's own.
 *
 * @since 0.1.0
 */
import * as E from 'fp-ts/lib/Either.js'
import { type ScheduleSpec, schedule } from '../optim/index.ts'
import { onlySettings } from '../settings/index.ts'
import { RecipeError, settingWithin } from './setting-checks.ts'

/** A schedule of the user's own. */
export interface OwnSchedule {
  /** What it is, as plain JSON data: it belongs to the run's identity. */
  readonly config: unknown
  /** The factor of the peak that update `step` uses, of `1 … steps`: finite, from 0. A function of its arguments alone. */
  readonly factor: (step: number, steps: number) => number
}

/** A stage's schedule as data, and its factor at each of the steps `1 … steps`. */
interface StageSchedule {
  readonly config: unknown
  readonly factor: (step: number) => number
}

/** Warm-up over a tenth, then cosine down to a tenth of the peak. */
const defaultSchedule: ScheduleSpec = { kind: 'cosine', warmup: 0.1, minRatio: 0.1 }

/** The settings of schedules of every kind. */
const names = ['kind', 'steps', 'warmup', 'start', 'minRatio', 'decay', 'shape']

/** Steps whose factors are asked for and kept, some seconds and 80 MB, before a stage begins. */
const mostOwnSteps = 10_000_000

const isOwn = (s: ScheduleSpec | OwnSchedule): s is OwnSchedule =>
  typeof (s as Partial<OwnSchedule> | null)?.factor === 'function'

/**
 * A stage's schedule. Of a single step, which has no course, the default is the peak itself.
 *
 * @throws RecipeError where it is none, or the user's own gives no finite factor from 0 at one of the steps, which it names, or
 *   there are too many to ask it for each
 */
export const stageSchedule = (
  where: string,
  given: ScheduleSpec | OwnSchedule | undefined,
  steps: number,
): StageSchedule => {
  const otherwise: ScheduleSpec = steps === 1 ? { kind: 'constant' } : defaultSchedule
  const spec = given === undefined ? otherwise : given
  if (isOwn(spec)) {
    if (spec.config === undefined)
      throw new RecipeError(
        where,
        'schedule.config',
        'it is missing; say what the schedule is, as plain data',
      )
    if (steps > mostOwnSteps)
      throw new RecipeError(
        where,
        'schedule.factor',
        `it is asked for each of ${steps} steps before the first; give at most ${mostOwnSteps} steps, or a schedule with a kind`,
      )
    // what was checked is what is used, also of a function that does not give the same twice
    const factors = Array.from({ length: steps }, (_, i): number => {
      const factor: unknown = spec.factor(i + 1, steps)
      if (typeof factor === 'number' && Number.isFinite(factor) && factor >= 0) return factor
      throw new RecipeError(
        where,
        'schedule.factor',
        `at step ${i + 1} of ${steps} it is ${String(factor)}; give a finite factor from 0 up`,
      )
    })
    return { config: spec.config, factor: (step) => factors[step - 1]! }
  }
  onlySettings(where, spec, names, 'schedule')
  const made = schedule(spec, steps)
  if (E.isLeft(made)) throw settingWithin(where, 'schedule', made.left)
  return { config: spec, factor: made.right }
}
