/**
 * What stages that learn have in common: settings, and what follows from them of the stage as a value.
 *
 * @since 0.1.0
 */
import { anyOf, type Keys } from '../dsl/index.ts'
import { adamWith, type Optimizer } from '../optim/index.ts'
import { present } from '../settings/internal.ts'
import type { Objective } from './objective.ts'
import {
  listSetting,
  numberSetting,
  RecipeError,
  textSetting,
  trainSetting,
  valueSetting,
} from './setting-checks.ts'
import type { Stage } from './stage.ts'
import { endingOf } from './stage-ending.ts'
import type { GraphTransform } from './transform.ts'

/** Settings of a stage that learns. */
export interface LearningSettings<From extends string, To extends string> {
  readonly name: string
  readonly from: From
  readonly to: To
  /** The parameters that learn, as the model's parts or any keys; all others cost no gradient and no backward time. */
  readonly train: readonly Keys[]
  /** Peak learning rate; at 0 the weights stay as they are. */
  readonly learningRate: number
  /** Default: AdamW as {@link adamWith} has it. */
  readonly optimizer?: Optimizer
  /** Largest global gradient norm; default 1. */
  readonly maxGradientNorm?: number
  /**
   * Rewrites of the loss before its gradient is taken, one after the other, such as `withLora(…)`; where the stage draws answers,
   * what draws reads the adapters as well.
   */
  readonly transforms?: readonly GraphTransform[]
  /**
   * The decay of an exponential moving average of what learns, from 0 to below 1; default: there is none. The model with
   * averaged weights is saved beside the other, as `ema.safetensors`; what is measured and handed on is the other.
   */
  readonly ema?: number
}

/** The names of {@link LearningSettings}. */
export const learningNames: readonly (keyof LearningSettings<string, string>)[] = [
  ...(['name', 'from', 'to', 'train', 'learningRate'] as const),
  ...(['optimizer', 'maxGradientNorm', 'transforms', 'ema'] as const),
]

/**
 * The settings, each as it should be, with what stands in for those that were not given.
 *
 * @param parts how a list of what learns may look
 * @throws RecipeError, which names stage, setting, value and what is allowed
 */
export const checkedLearning = (where: string, s: LearningSettings<string, string>, parts: string) => {
  textSetting(where, 'from', s.from)
  textSetting(where, 'to', s.to)
  trainSetting(where, s.train, parts)
  const learningRate = numberSetting(where, 'learningRate', s.learningRate)
  const maxGradientNorm = numberSetting(where, 'maxGradientNorm', s.maxGradientNorm ?? 1, true)
  const optimizer = s.optimizer ?? adamWith()
  valueSetting(
    where,
    'optimizer',
    optimizer,
    ['update'],
    'an optimizer, such as adamWith({ weightDecay: 0.05 })',
  )
  const transforms = listSetting(where, 'transforms', s.transforms ?? [])
  transforms.forEach((t, i) => {
    valueSetting(where, `transforms[${i}]`, t, ['apply'], 'a graph transform, such as withLora(…)')
  })
  if (s.ema !== undefined && numberSetting(where, 'ema', s.ema) >= 1)
    throw new RecipeError(where, 'ema', `it is ${s.ema}; give a decay from 0 to below 1, such as 0.999`)
  const ema = s.ema === undefined ? {} : { ema: s.ema }
  return {
    learningRate,
    /** What a learner is made of, but its objective. */
    learner: { name: s.name, train: s.train, optimizer, maxGradientNorm, transforms, ...ema },
    /** What the stage's configuration says of settings that it need not have. */
    config: {
      ...(transforms.length === 0 ? {} : { transforms: transforms.map((t) => t.config) }),
      ...ema,
    },
  }
}

/** What a stage that learns is, but for what it runs. */
export const learningStage = <From extends string, To extends string>(
  s: LearningSettings<From, To>,
  { model, processor, own, frozen }: Pick<Objective<never>, 'model' | 'processor' | 'own' | 'frozen'>,
): Pick<Stage<From, To>, 'name' | 'from' | 'to' | 'model' | 'processor' | 'own' | 'frozen' | 'ending'> => {
  const { ema } = s
  const transforms = s.transforms ?? []
  const added = [...(own === undefined ? [] : [own]), ...transforms.flatMap((t) => t.adds?.keys ?? [])]
  return {
    ...{ name: s.name, from: s.from, to: s.to, model },
    ...present({ processor, frozen }),
    ...(added.length === 0 ? {} : { own: anyOf(added) }),
    ...endingOf(transforms, ema !== undefined),
  }
}
