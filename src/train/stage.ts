/**
 * A stage of training as a value: data × trainable parts × loss × optimizer × schedule.
 *
 * @since 0.1.0
 */
import {
  type FunctionSpec,
  fixed,
  gradient,
  input,
  type Program,
  parametersOf,
  program,
  type Tensor,
} from '../dsl/index.ts'
import type { SailVl2Config } from '../models/sail-vl2.ts'
import { type AdamWSettings, adamW } from '../optim/adamw.ts'
import { clipByGlobalNorm } from '../optim/clip.ts'
import type { ScheduleSpec } from '../optim/schedules.ts'
import { type Part, parts, trainable } from '../optim/trainable.ts'
import type { BatchSizes, Objective } from './objective.ts'
import type { Source } from './source.ts'

/**
 * One stage. `From` and `To` name what the weights are before and after it, so that stages only chain in an order that
 * makes sense.
 */
export interface Stage<From extends string = string, To extends string = string, E = unknown> {
  readonly name: string
  readonly from: From
  readonly to: To
  /** The parts that learn; all others cost no gradient, no moments and no backward time. */
  readonly train: readonly Part[]
  readonly source: Source<E>
  readonly steps: number
  /** Conversations a step. */
  readonly batch: number
  /** Tokens a row; a longer conversation is an error. */
  readonly length: number
  /** Peak learning rate. */
  readonly learningRate: number
  /** Its course as a factor of the peak; default: warm-up over a tenth, then cosine to a tenth. */
  readonly schedule?: ScheduleSpec
  readonly optimizer?: AdamWSettings
  /** Largest global gradient norm; default 1. */
  readonly clip?: number
  /** The loss, over what the source gives. */
  readonly objective: Objective<E>
}

/** Warm-up over a tenth, then cosine down to a tenth of the peak. */
export const defaultSchedule: ScheduleSpec = { kind: 'cosine', warmup: 0.1, minRatio: 0.1 }

/** A stage's schedule; of a single step, which has no course, the default is the peak itself. */
export const scheduleOf = (s: Pick<Stage, 'schedule' | 'steps'>): ScheduleSpec =>
  s.schedule ?? (s.steps === 1 ? { kind: 'constant' } : defaultSchedule)

/** What an optimizer step gives beside the next state: `loss` (nats a token), `tokens` counted, `hits` predicted exactly, `gradientNorm`. */
export const stepFunction = (model: SailVl2Config, stage: Stage): FunctionSpec =>
  fixed(() => {
    const { mean, count, hits } = stage.objective.loss(model, sizesOf(stage))
    const chosen = chosenParameters(stage, mean)
    const { gradients, norm } = clipByGlobalNorm(gradient(mean, [...chosen.values()]), stage.clip ?? 1)
    const { next } = adamW(chosen, gradients, input('learning_rate', []), stage.optimizer)
    return { outputs: { loss: mean, tokens: count, hits, gradientNorm: norm }, next }
  })

/** Batch sizes of a stage: one picture a row. */
export const sizesOf = (stage: Stage): BatchSizes => ({
  batch: stage.batch,
  length: stage.length,
  tiles: stage.batch,
})

/** The parameters that a stage trains, of those that its loss depends on. @throws RangeError where there is none */
export const chosenParameters = (stage: Stage, loss: Tensor): ReadonlyMap<string, Tensor> => {
  const chosen = trainable(parametersOf(loss), stage.train)
  if (chosen.size === 0)
    throw new RangeError(
      `stage '${stage.name}' trains ${stage.train.join(', ') || 'nothing'}, and its loss depends on no such parameter; the parts are ${Object.keys(parts).join(', ')}`,
    )
  return chosen
}

/** The program of a stage: its `step`, and whatever functions its evaluations call. */
export const stageProgram = (
  model: SailVl2Config,
  stage: Stage,
  functions: Readonly<Record<string, FunctionSpec>> = {},
): Program => program({ name: stage.name, functions: { step: stepFunction(model, stage), ...functions } })

/** A stage as data, for the manifest. */
export const describeStage = (s: Stage): unknown => ({
  name: s.name,
  train: s.train,
  objective: s.objective.name,
  steps: s.steps,
  batch: s.batch,
  length: s.length,
  learningRate: s.learningRate,
  schedule: scheduleOf(s),
  optimizer: { ...s.optimizer, rate: undefined, decays: undefined },
  clip: s.clip ?? 1,
  data: s.source.describe,
})
