/**
 * The settings of a supervised stage, checked.
 *
 * @since 0.1.0
 */
import type { Source } from '../data/index.ts'
import type { AdaLrsSettings, ScheduleSpec } from '../optim/index.ts'
import { onlySettings } from '../settings/index.ts'
import { checkedLearning, type LearningSettings, learningNames } from './learning-stage.ts'
import type { Objective } from './objective.ts'
import { isPrepared, type Prepared } from './prepared.ts'
import { searchSetting } from './rate-search.ts'
import {
  configSetting,
  jsonSetting,
  listSetting,
  stageName,
  textSetting,
  valueSetting,
  wholeSetting,
} from './setting-checks.ts'
import { type OwnSchedule, stageSchedule } from './stage-schedule.ts'

/** Settings of `supervised`. */
export interface SupervisedSettings<From extends string, To extends string, E>
  extends LearningSettings<From, To> {
  /** The loss, over what the source gives. */
  readonly objective: Objective<E>
  /** Examples, or what the stage makes them of before its first step. */
  readonly source: Source<E> | Prepared<E>
  /** Updates. */
  readonly steps: number
  /** Micro-batches of one update, whose gradients add up; default 1. */
  readonly accumulate?: number
  /** The learning rate's course as a factor of the peak; default: warm-up over a tenth, then cosine to a tenth. */
  readonly schedule?: ScheduleSpec | OwnSchedule
  /** Searches the learning rate while the stage trains: a factor on that course. Trials cost steps; default: none. */
  readonly adaLrs?: Omit<AdaLrsSettings, 'steps'>
}

const names = [...learningNames, 'objective', 'source', 'steps', 'accumulate', 'schedule', 'adaLrs']

/**
 * A stage's settings, each as it should be, with what stands in for those that were not given.
 *
 * @throws RecipeError, which names stage, setting, value and what is allowed
 */
export const checkedSupervised = <From extends string, To extends string, E>(
  s: SupervisedSettings<From, To, E>,
) => {
  const where = stageName('supervised', s)
  onlySettings(where, s, names)
  const { learner, learningRate, config: rest } = checkedLearning(where, s, '[vision, adapter]')
  const { objective, source } = s
  const { train, optimizer, maxGradientNorm } = learner
  valueSetting(where, 'objective', objective, ['terms', 'collate'], 'an objective, such as nextToken(…)')
  valueSetting(where, 'objective.model', objective.model, ['graph'], 'the model that it trains')
  listSetting(where, 'objective.frozen', objective.frozen ?? []).forEach((f, i) => {
    valueSetting(
      where,
      `objective.frozen[${i}]`,
      f,
      ['within'],
      "what frozen('…', { config, weights }) gives",
    )
  })
  valueSetting(
    where,
    'source',
    source,
    isPrepared(source) ? ['source'] : ['open'],
    'a source of examples, { config, async *open(place) { yield { example, next } } }',
  )
  const steps = wholeSetting(where, 'steps', s.steps, 1)
  const accumulate = wholeSetting(where, 'accumulate', s.accumulate ?? 1, 1)
  const { config: course, factor } = stageSchedule(where, s.schedule, steps)
  const adaLrs = s.adaLrs === undefined ? undefined : searchSetting(where, s.adaLrs, steps)
  const perStep = accumulate * wholeSetting(where, 'objective.batch', objective.batch, 1)
  const config = {
    kind: 'supervised',
    ...{ name: s.name, from: s.from, to: s.to, train: train.map((k) => k.name) },
    ...{ objective: objective.config, source: source.config, steps, accumulate, learningRate },
    ...{ schedule: course, optimizer: optimizer.config, maxGradientNorm },
    ...(adaLrs === undefined ? {} : { adaLrs: adaLrs.config }),
    ...rest,
  }
  jsonSetting(where, 'config', config)
  configSetting(where, 'objective', objective)
  configSetting(where, 'source', source)
  configSetting(where, 'optimizer', optimizer)
  textSetting(where, 'objective.unit', objective.unit)
  return { where, config, objective, steps, accumulate, perStep, learningRate, factor, adaLrs, learner }
}
