/**
 * The settings of a supervised stage, checked.
 *
 * @since 0.1.0
 */
import type { Source } from '../data/index.ts'
import type { Keys } from '../dsl/index.ts'
import {
  type AdaLrs,
  type AdaLrsSettings,
  adaLrsReducer,
  adamWith,
  type Optimizer,
  type ScheduleSpec,
} from '../optim/index.ts'
import { kindOf, onlySettings } from '../settings/index.ts'
import type { Objective } from './objective.ts'
import { isPrepared, type Prepared } from './prepared.ts'
import {
  jsonSetting,
  numberSetting,
  RecipeError,
  stageName,
  textSetting,
  trainSetting,
  valueSetting,
  wholeSetting,
} from './recipe-error.ts'
import { type OwnSchedule, stageSchedule } from './stage-schedule.ts'
import type { GraphTransform } from './transform.ts'

/** Settings of `supervised`. */
export interface SupervisedSettings<From extends string, To extends string, E> {
  readonly name: string
  readonly from: From
  readonly to: To
  /** The parameters that learn, as the model's parts or any keys; all others cost no gradient and no backward time. */
  readonly train: readonly Keys[]
  /** The loss, over what the source gives. */
  readonly objective: Objective<E>
  /** Examples, or what the stage makes them of before its first step. */
  readonly source: Source<E> | Prepared<E>
  /** Updates. */
  readonly steps: number
  /** Micro-batches of one update, whose gradients add up; default 1. */
  readonly accumulate?: number
  /** Peak learning rate; at 0 the weights stay as they are. */
  readonly learningRate: number
  /** Its course as a factor of the peak; default: warm-up over a tenth, then cosine to a tenth. */
  readonly schedule?: ScheduleSpec | OwnSchedule
  /** Searches the learning rate while the stage trains: a factor on that course. Trials cost steps; default: none. */
  readonly adaLrs?: Omit<AdaLrsSettings, 'steps'>
  /** Default: AdamW as {@link adamWith} has it. */
  readonly optimizer?: Optimizer
  /** Largest global gradient norm; default 1. */
  readonly maxGradientNorm?: number
  /** Rewrites of the loss before its gradient is taken, one after the other, such as adapters. */
  readonly transforms?: readonly GraphTransform[]
  /**
   * The decay of an exponential moving average of what learns, from 0 to below 1; default: there is none. The model with
   * averaged weights is saved beside the other, as `ema.safetensors`; what is measured and handed on is the other.
   */
  readonly ema?: number
}

const settingNames: readonly (keyof SupervisedSettings<string, string, unknown>)[] = [
  ...(['name', 'from', 'to', 'train', 'objective', 'source', 'steps', 'accumulate'] as const),
  ...(['learningRate', 'schedule', 'optimizer', 'maxGradientNorm', 'adaLrs', 'transforms', 'ema'] as const),
]

/** A list, also where a file is not type-checked. */
const listSetting = <A>(where: string, setting: string, x: readonly A[]): readonly A[] => {
  if (Array.isArray(x)) return x
  throw new RecipeError(where, setting, `it is ${kindOf(x)}; give a list`)
}

const searchOf = (where: string, settings: Omit<AdaLrsSettings, 'steps'>, steps: number): AdaLrs => {
  try {
    return adaLrsReducer({ ...settings, steps })
  } catch (e) {
    throw new RecipeError(where, 'adaLrs', (e as Error).message, e)
  }
}

/**
 * A stage's settings, each as it should be, with what stands in for those that were not given.
 *
 * @throws RecipeError, which names stage, setting, value and what is allowed
 */
export const checkedSupervised = <From extends string, To extends string, E>(
  s: SupervisedSettings<From, To, E>,
) => {
  const where = stageName('supervised', s)
  onlySettings(where, s, settingNames)
  textSetting(where, 'from', s.from)
  textSetting(where, 'to', s.to)
  valueSetting(where, 'objective', s.objective, ['terms', 'collate'], 'an objective, such as nextToken(…)')
  valueSetting(
    where,
    'source',
    s.source,
    isPrepared(s.source) ? ['source'] : ['open'],
    'a source of examples',
  )
  const steps = wholeSetting(where, 'steps', s.steps, 1)
  const accumulate = wholeSetting(where, 'accumulate', s.accumulate ?? 1, 1)
  const learningRate = numberSetting(where, 'learningRate', s.learningRate)
  const maxGradientNorm = numberSetting(where, 'maxGradientNorm', s.maxGradientNorm ?? 1, true)
  trainSetting(where, s.train, '[vision, adapter]')
  const { objective, source } = s
  const optimizer = s.optimizer ?? adamWith()
  valueSetting(
    where,
    'optimizer',
    optimizer,
    ['update'],
    'an optimizer, such as adamWith({ weightDecay: 0.05 })',
  )
  const { config: course, factor } = stageSchedule(where, s.schedule, steps)
  const adaLrs = s.adaLrs === undefined ? undefined : searchOf(where, s.adaLrs, steps)
  const transforms = listSetting(where, 'transforms', s.transforms ?? [])
  transforms.forEach((t, i) => {
    valueSetting(where, `transforms[${i}]`, t, ['apply'], 'a graph transform, such as withLora(…)')
  })
  const ema = s.ema === undefined ? undefined : numberSetting(where, 'ema', s.ema)
  if (ema !== undefined && ema >= 1)
    throw new RecipeError(where, 'ema', `it is ${ema}; give a decay from 0 to below 1, such as 0.999`)
  const perStep = accumulate * wholeSetting(where, 'objective.batch', objective.batch, 1)
  const config = {
    kind: 'supervised',
    ...{ name: s.name, from: s.from, to: s.to, train: s.train.map((k) => k.name) },
    ...{ objective: objective.config, source: source.config, steps, accumulate, learningRate },
    ...{ schedule: course, optimizer: optimizer.config, maxGradientNorm },
    ...(adaLrs === undefined ? {} : { adaLrs: adaLrs.config }),
    ...(transforms.length === 0 ? {} : { transforms: transforms.map((t) => t.config) }),
    ...(ema === undefined ? {} : { ema }),
  }
  jsonSetting(where, 'config', config)
  for (const [of, about] of Object.entries({ objective, source, optimizer }))
    if (about.config === undefined)
      throw new RecipeError(
        where,
        `${of}.config`,
        'it is undefined; say as plain JSON data what determines it',
      )
  textSetting(where, 'objective.unit', objective.unit)
  return {
    ...{ where, config, objective, source, optimizer, steps, accumulate, perStep, learningRate, factor },
    ...{ train: s.train, maxGradientNorm, adaLrs, transforms, ema },
  }
}
