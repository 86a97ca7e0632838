/**
 * The objective of reinforcement learning over any causal language model, with images or without: a policy loss on what was
 * drawn, each token given the prompt and all drawn before it.
 *
 * @since 0.1.0
 */
import { fitting, type Processor } from '../data/index.ts'
import {
  axis,
  buckets,
  div,
  type FunctionSpec,
  input,
  less,
  logSoftmax,
  maximum,
  mul,
  neg,
  negativeLogLikelihood,
  type Scalar,
  softmax,
  stopGradient,
  sum,
  type Tensor,
} from '../dsl/index.ts'
import type { Session } from '../engine/index.ts'
import type { CausalLm } from '../models/index.ts'
import { kindOf, onlySettings } from '../settings/index.ts'
import { present } from '../settings/internal.ts'
import {
  type AtPlaces,
  type Learnt,
  numberSetting,
  type Objective,
  RecipeError,
  valueSetting,
  wholeSetting,
  withExperts,
} from '../train/index.ts'
import {
  batchSetting,
  callWith,
  flagSetting,
  imagesByDefault,
  imagesSetting,
  learntConfig,
  learntSetting,
  learntSizes,
} from '../train/internal.ts'
import type { Experience } from './experience.ts'
import {
  drawnLogits,
  type ExtraLogProbs,
  experienceGraph,
  inputOf,
  learningInputs,
  readingInputs,
} from './experience-batch.ts'
import { type ExperienceSizes, packExperiences } from './experience-pack.ts'
import { tokenMean } from './losses/mean.ts'
import type { PolicyLoss } from './losses/policy-loss.ts'

/** Settings of {@link policyGradient}. */
export interface PolicyGradientSettings extends Omit<ExperienceSizes, 'images' | 'completions'> {
  readonly loss: PolicyLoss
  /** The temperature at which the tokens were drawn; default 1. */
  readonly temperature?: number
  /** Different images of all rows together; default: one a row where the processor lays out images, else 0. */
  readonly images?: number
  /** Completions of all rows together; default: one a row. */
  readonly completions?: number
  /**
   * So many times the mean entropy (nats) of the distributions that a micro-batch's tokens were drawn from is taken off the
   * loss, which keeps the policy from always drawing the same; default: nothing is.
   */
  readonly entropyBonus?: number
  /**
   * Places of a row that predict what was drawn, at most: the last block is computed there alone, as the head is in any case.
   * With a number a row that has more is an error. Default `auto`: where answers of full length leave half a row to prompts, what
   * each pack has, in one of up to three sizes; `all` computes the block of every token.
   */
  readonly learnt?: Learnt
  /** Whether tokens are worth what the steps that they belong to are, beside their completion; default false. */
  readonly steps?: boolean
}

/** An objective of experiences, and the log-probabilities of what was drawn. */
export interface PolicyGradient extends Objective<Experience> {
  readonly loss: PolicyLoss
  readonly temperature: number
  readonly sizes: ExperienceSizes
  /** Whether the loss reads what each token is worth by its step. */
  readonly steps: boolean
  /** What {@link PolicyGradient.logProbs} calls: `logProbs`. */
  readonly functions: Readonly<Record<string, FunctionSpec>>
  /**
   * The log-probability of each drawn token under the weights of a session as they are now, at the temperature.
   *
   * Throws what the engine says.
   *
   * @param by the function of the session's program that gives them; default `logProbs`, under the weights that learn
   * @returns for each experience one number a token, in their order
   * @throws CollateError where one does not fit
   */
  readonly logProbs: (
    session: Session,
    experiences: readonly Experience[],
    by?: string,
  ) => Promise<readonly (readonly number[])[]>
}

const where = 'policyGradient'

const names: readonly (keyof PolicyGradientSettings)[] = [
  ...(['rows', 'tokens', 'images', 'completions', 'answer', 'loss'] as const),
  ...(['temperature', 'entropyBonus', 'learnt', 'steps'] as const),
]

/** The settings, each as it should be, with what stands in for those that were not given. */
const checked = (model: CausalLm, processor: Processor, settings: PolicyGradientSettings) => {
  onlySettings(where, settings, names)
  fitting(processor, model)
  const { loss } = settings
  valueSetting(where, 'loss', loss, ['terms'], 'a policy loss, such as dapo()')
  const temperature = numberSetting(where, 'temperature', settings.temperature ?? 1, true)
  const bonus =
    settings.entropyBonus === undefined
      ? undefined
      : numberSetting(where, 'entropyBonus', settings.entropyBonus)
  const bySteps = settings.steps ?? false
  flagSetting(where, 'steps', bySteps)
  const rows = wholeSetting(where, 'rows', settings.rows, 1)
  const sizes: ExperienceSizes = {
    rows,
    tokens: wholeSetting(where, 'tokens', settings.tokens, 2),
    images: imagesSetting(where, settings.images ?? imagesByDefault(processor, rows), processor),
    completions: wholeSetting(where, 'completions', settings.completions ?? rows, 1),
    answer: wholeSetting(where, 'answer', settings.answer, 1),
  }
  batchSetting(where, rows, sizes.tokens)
  if (sizes.answer >= sizes.tokens)
    throw new RecipeError(
      where,
      'answer',
      `it is ${sizes.answer}, and a row of ${sizes.tokens} tokens holds the prompt as well; raise tokens`,
    )
  const learnt = learntSetting(where, settings.learnt, sizes.tokens)
  return { loss, temperature, bonus, bySteps, sizes, learnt }
}

/** Entropy of each distribution, in nats: `[…, vocab]` → `[…]`. */
const entropyOf = (logits: Tensor): Tensor =>
  neg(sum(mul(softmax(logits, 'vocab'), logSoftmax(logits, 'vocab')), 'vocab'))

/**
 * A policy loss as an objective. What it measures with each update is what the loss measures, and `entropy`, the mean
 * entropy of the distributions that tokens were drawn from, in nats, under the policy that learns.
 *
 * Experiences are packed: the completions of a prompt stand in a row behind one copy of it, which is read once, with its images,
 * and do not see one another; several prompts share a row. Values and gradients are those of one completion a row, but for
 * what experts are balanced by: there a token that is read once counts once.
 *
 * @throws ProcessorError where the processor does not make what the model reads
 * @throws RecipeError where a setting is out of its range
 * @category objectives
 */
export const policyGradient = (
  model: CausalLm,
  processor: Processor,
  settings: PolicyGradientSettings,
): PolicyGradient => {
  const { loss, temperature, bonus, bySteps, sizes, learnt } = checked(model, processor, settings)
  const extra: readonly ExtraLogProbs[] = [
    ...(loss.reads?.sampling === true ? (['samplingLogProbs'] as const) : []),
    ...(loss.reads?.reference === true ? (['referenceLogProbs'] as const) : []),
  ]
  // rows that are full of answers predict at most of their places: they have the one size
  const predicted = (sizes.completions / sizes.rows) * sizes.answer
  const all = learntSizes(learnt, sizes, model, () => experienceGraph(sizes), predicted)
  const drawn = [axis('batch', sizes.completions), axis('token', sizes.answer)]
  const at = (
    given: AtPlaces<ExperienceSizes>,
  ): {
    readonly logits: Tensor
    readonly logProbs: Tensor
    readonly segments: Tensor
  } => {
    const { logits: raw, targets, segments } = drawnLogits(model, given)
    const logits = temperature === 1 ? raw : div(raw, temperature)
    return { segments, logits, logProbs: neg(negativeLogLikelihood(logits, targets, 'vocab')) }
  }
  return {
    name: where,
    config: {
      kind: where,
      ...{ model: model.config, processor: processor.config, loss: loss.config, temperature, ...sizes },
      ...present({ entropyBonus: bonus }),
      ...(bySteps ? { steps: true } : {}),
      ...learntConfig(learnt),
    },
    unit: 'advantage per token',
    model,
    processor,
    batch: sizes.completions,
    get buckets() {
      return all().map((one) => ({ ...one }))
    },
    ...{ loss, temperature, sizes, steps: bySteps },
    terms: ({ learnt: places }) => {
      const { logits, logProbs, segments } = at({
        ...sizes,
        ...present({ learnt: places }),
      })
      const mask = input('mask', drawn)
      const terms = loss.terms({
        logProbs,
        oldLogProbs: input('old_log_probs', drawn),
        advantages: input('advantages', bySteps ? drawn : [drawn[0]!]),
        mask,
        ...Object.fromEntries(extra.map((key) => [key, input(inputOf[key], drawn)])),
      })
      if (kindOf(terms) !== 'a record' || !('sum' in terms && 'weight' in terms))
        throw new RecipeError(
          where,
          'loss.terms',
          `that of '${loss.name}' gives ${kindOf(terms)}; give { sum, weight }, such as tokenMean(loss, mask) makes`,
        )
      const measured = tokenMean(entropyOf(stopGradient(logits)), mask)
      const spread = bonus === undefined ? undefined : tokenMean(entropyOf(logits), mask)
      return withExperts(model, logits, less(0, segments), {
        ...terms,
        ...(spread === undefined
          ? {}
          : {
              auxiliary: {
                ...terms.auxiliary,
                entropy: mul(div(spread.sum, maximum(spread.weight, 1)), -bonus!) as Scalar,
              },
            }),
        stepMetrics: { ...terms.stepMetrics, entropy: measured },
      })
    },
    collate: (experiences) =>
      packExperiences(experiences, sizes, processor).map((pack) => {
        const read = readingInputs(pack, all(), processor)
        return {
          ...{ sizes: { ...read.sizes }, offered: true },
          inputs: { ...read.inputs, ...learningInputs(pack, sizes, extra, bySteps) },
        }
      }),
    get functions() {
      return { logProbs: buckets(all(), (given) => ({ outputs: { logProbs: at(given).logProbs } })) }
    },
    logProbs: async (session, experiences, by = 'logProbs') => {
      const found = new Map<Experience, readonly number[]>()
      for (const pack of packExperiences(experiences, sizes, processor)) {
        const { inputs } = readingInputs(pack, all(), processor)
        const out = await callWith(session, by, inputs)
        pack.placed.forEach(({ experience: e }, i) => {
          const from = i * sizes.answer
          found.set(e, Array.from(out.logProbs!.data.slice(from, from + e.ids.length)))
        })
      }
      return experiences.map((e) => found.get(e)!)
    },
  }
}
