/**
 * Distillation: a model learns what another would have said of each token, beside what the labels say or in their place.
 *
 * @since 0.1.0
 */
import { fitting, type Processor } from '../data/index.ts'
import {
  add,
  argmax,
  cast,
  equal,
  exp,
  lessEqual,
  log,
  logSoftmax,
  maximum,
  mul,
  type Scalar,
  select,
  sub,
  sum,
  type Tensor,
  total,
} from '../dsl/index.ts'
import type { CausalLm } from '../models/index.ts'
import { onlySettings } from '../settings/index.ts'
import { type Frozen, frozen } from './frozen.ts'
import { type learntLogits, logitsAt } from './learnt-places.ts'
import { crossEntropyTerms, type LossTerms } from './objective.ts'
import type { Start } from './recipe-start.ts'
import { numberSetting, RecipeError, valueSetting } from './setting-checks.ts'

/** A model that another learns from, and its weights; it does not learn itself. */
export interface Teacher extends Pick<Start, 'config' | 'weights'> {
  readonly model: CausalLm
}

/** Settings of {@link distillation}. */
export interface DistillationSettings {
  readonly teacher: Teacher
  /**
   * Which divergence of teacher and student, from 0 to 1 (Agarwal et al., arXiv:2306.13649): 0 is KL(teacher ‖ student), 1 is
   * KL(student ‖ teacher), β between them the generalised Jensen–Shannon divergence β KL(teacher ‖ M) + (1 − β) KL(student ‖ M)
   * with M = β teacher + (1 − β) student. Default 0.
   */
  readonly beta?: number
  /**
   * Both distributions are softmax(logits / T), and the divergence is scaled by T², so that its gradient is as large at any T
   * (Hinton et al., arXiv:1503.02531). Default 1.
   */
  readonly temperature?: number
  /** How much of the loss is the cross-entropy of the labels, from 0 to 1; default 0. */
  readonly labels?: number
}

/** What an objective over next tokens learns from a teacher: its `distill`. */
export interface Distillation {
  /** Everything that determines it, as plain JSON data. */
  readonly config: unknown
  readonly model: CausalLm
  readonly frozen: Frozen
  /**
   * The loss and its metrics.
   *
   * @param student logits float32 `[batch, token, vocab]`
   * @param teacher the same, of the teacher, over its own weights
   * @param labels int32 `[batch, token]`: −100 where nothing is learnt
   */
  readonly terms: (student: Tensor, teacher: Tensor, labels: Tensor) => LossTerms
}

/** Σ p (log p − log q) along the vocabulary. */
const divergence = (p: Tensor, q: Tensor): Tensor => sum(mul(exp(p), sub(p, q)), 'vocab')

/** The generalised Jensen–Shannon divergence of two distributions, given by their logarithms: `[batch, token]`. */
const jensenShannon = (teacher: Tensor, student: Tensor, beta: number): Tensor => {
  if (beta === 0) return divergence(teacher, student)
  if (beta === 1) return divergence(student, teacher)
  const [t, s] = [add(teacher, Math.log(beta)), add(student, Math.log(1 - beta))]
  const most = maximum(t, s)
  // neither is 0 there, however unlikely the token
  const mixed = add(most, log(add(exp(sub(t, most)), exp(sub(s, most)))))
  return add(mul(divergence(teacher, mixed), beta), mul(divergence(student, mixed), 1 - beta))
}

/**
 * The loss of next tokens: the cross-entropy of the labels, or what is learnt from a teacher, which reads the same inputs.
 *
 * @param student logits of the model that learns, and what takes a tensor of all tokens to their places
 * @param x the inputs of both
 * @param labels int32 `[batch, token]` at those places
 * @param distill default: there is no teacher
 */
export const tokenTerms = (
  where: string,
  student: ReturnType<typeof learntLogits>,
  x: Parameters<typeof learntLogits>[2],
  at: Parameters<typeof learntLogits>[3],
  labels: Tensor,
  distill: Distillation | undefined,
): LossTerms => {
  if (distill === undefined) return crossEntropyTerms('vocab', { logits: student.logits, labels })
  const taught = logitsAt(where, distill.model, x, at, student.at)
  return distill.terms(student.logits, distill.frozen.within([taught])[0]!, labels)
}

/**
 * Sees that a teacher reads and says what the model does that learns from it.
 *
 * @throws ProcessorError where the processor does not make what the teacher reads; RecipeError where its vocabulary is another
 */
export const teaches = (
  where: string,
  processor: Processor,
  model: CausalLm,
  distill: Distillation | undefined,
): void => {
  if (distill === undefined) return
  valueSetting(where, 'distill', distill, ['terms'], 'what distillation({ teacher }) gives')
  fitting(processor, distill.model)
  if (distill.model.vocabSize !== model.vocabSize)
    throw new RecipeError(
      where,
      'distill.teacher',
      `its model '${distill.model.name}' has a vocabulary of ${distill.model.vocabSize}, and '${model.name}', which learns from it, one of ${model.vocabSize}; take a teacher with the same tokens`,
    )
}

/** A number from 0 to 1. @throws RecipeError */
const shareSetting = (setting: string, x: number): number => {
  if (numberSetting('distillation', setting, x) <= 1) return x
  throw new RecipeError('distillation', setting, `it is ${x}; give a number from 0 to 1`)
}

/**
 * Learning from a teacher, which reads what the student reads: the same tokens, the same images. Its weights are read as the
 * stage begins, and again as it goes on; they take no gradient, no moments and no place in a checkpoint.
 *
 * Metrics beside those of the labels: `agreement`, the share of counted places at which both say the same token is the
 * likeliest; `crossEntropy`, that of the labels in nats per token.
 *
 * @example
 * import { openCheckpoint } from 'sailwright/formats'
 * import { nanoModel, nanoProcessor } from 'sailwright/tasks'
 * import { nextToken } from 'sailwright/train'
 *
 * const teacher = { model: nanoModel, config: 'tuned', weights: openCheckpoint('tuned.safetensors') }
 * const distill = distillation({ teacher, temperature: 2, labels: 0.5 })
 * const objective = nextToken(nanoModel, nanoProcessor(), { rows: 8, tokens: 80 }, { distill })
 *
 * @throws RecipeError where a setting is none
 * @category objectives
 */
export const distillation = (settings: DistillationSettings): Distillation => {
  onlySettings('distillation', settings, ['teacher', 'beta', 'temperature', 'labels'])
  const { model, config, weights } = onlySettings(
    'distillation',
    settings.teacher,
    ['model', 'config', 'weights'],
    'teacher',
  )
  valueSetting('distillation', 'teacher.model', model, ['embed', 'decode', 'head'], 'a language model')
  const beta = shareSetting('beta', settings.beta ?? 0)
  const temperature = numberSetting('distillation', 'temperature', settings.temperature ?? 1, true)
  const share = shareSetting('labels', settings.labels ?? 0)
  const softened = (logits: Tensor): Tensor => logSoftmax(mul(logits, 1 / temperature), 'vocab')
  return {
    config: {
      ...{ kind: 'distillation', teacher: { model: model.config, weights: config } },
      ...{ beta, temperature, labels: share },
    },
    model,
    frozen: frozen('teacher', { config, weights }),
    terms: (student, teacher, labels) => {
      const hard = crossEntropyTerms('vocab', { logits: student, labels })
      const counted = lessEqual(0, labels)
      const each = jensenShannon(softened(teacher), softened(student), beta)
      const soft = total(select(counted, each, 0))
      const scaled = mul(soft, (1 - share) * temperature ** 2) as Scalar
      return {
        ...hard,
        sum: share === 0 ? scaled : (add(scaled, mul(hard.sum, share)) as Scalar),
        metrics: () => {
          const alike = equal(argmax(student, 'vocab'), argmax(teacher, 'vocab'))
          return {
            ...hard.metrics?.(),
            agreement: { sum: total(select(counted, cast(alike, 'float32'), 0)), weight: hard.weight },
            crossEntropy: { sum: hard.sum, weight: hard.weight, unit: 'nats per token' },
          }
        },
      }
    },
  }
}
