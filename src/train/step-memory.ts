/**
 * What a step of training holds in memory, counted from its graph: no weights are allocated.
 *
 * @since 0.1.0
 */
import {
  attentionBlocks,
  elementBytes,
  elements,
  type Keys,
  keptBytes,
  type Program,
  peakBytes,
  type StateSpec,
  type Tensor,
} from '../dsl/index.ts'
import { attentionLimits } from '../engine/index.ts'
import type { CausalLm } from '../models/index.ts'
import { accumulatedSum, adamWith, isOptimizerKey, type Optimizer } from '../optim/index.ts'
import { onlySettings } from '../settings/index.ts'
import { type LearnerProgram, learnerProgram } from './learner.ts'
import { nextTokenTerms, type WholeSizes } from './next-token.ts'
import { wholeSetting } from './setting-checks.ts'
import type { GraphTransform } from './transform.ts'
import { isWeightKey } from './weights.ts'

/** A step that is planned: next tokens, one micro-batch. */
interface PlannedStep {
  readonly model: CausalLm
  /** The parameters that learn. */
  readonly train: readonly Keys[]
  readonly sizes: WholeSizes
  /** Such as `withLora(…)`. */
  readonly transforms?: readonly GraphTransform[]
  /** Default {@link adamWith}. */
  readonly optimizer?: Optimizer
}

/** What a step holds: two counts, then bytes. */
export interface StepMemory {
  /** Weights, those of adapters included. */
  readonly parameters: number
  /** Of them those that learn. */
  readonly trained: number
  /** Of the weights. */
  readonly weights: number
  /** Of the weights where the matrices that do not learn lie in 16 bits, as `weights: 'stored'` leaves those in bfloat16. */
  readonly storedWeights: number
  /** Of what the optimizer keeps: in AdamW two moments of each weight that learns, and a count of updates. */
  readonly optimizer: number
  /** Of a gradient of each weight that learns: clipping reads all of them together. */
  readonly gradients: number
  /** Of the forward pass's results that the backward pass reads. */
  readonly activations: number
  /** Of what lies beside gradients and activations at the fullest moment of the forward and the backward pass. */
  readonly working: number
  /** Of all other states: gradients that add up over micro-batches, averages, a cache. */
  readonly others: number
}

const count = (states: readonly StateSpec[]): number => states.reduce((n, s) => n + elements(s.axes), 0)
const bytes = (states: readonly StateSpec[]): number =>
  states.reduce((n, s) => n + elements(s.axes) * elementBytes(s.dtype), 0)

/** Results of the forward pass, and all that comes of them, in a learner's function that takes the gradient. */
const passes = (program: Program): readonly [readonly Tensor[], readonly Tensor[]] => {
  const step = program.functions.get('step')?.[0]
  if (step !== undefined)
    return [[step.outputs.loss!], [...Object.values(step.outputs), ...step.next.values()]]
  const next = program.functions.get('accumulate')?.[0]?.next
  return next === undefined ? [[], []] : [[next.get(accumulatedSum)!], [...next.values()]]
}

/** What is computed until all gradients are there. */
const untilGradients = (program: Program, then: readonly Tensor[]): readonly Tensor[] => {
  const step = program.functions.get('step')?.[0]
  // the norm of the gradient is among them
  return step === undefined ? then : Object.values(step.outputs)
}

/** The activations that are kept, and the most that lies there, where long attentions run in blocks, as on a processor. */
const bytesOfPasses = (program: Program): { readonly kept: number; readonly peak: number } => {
  const [first, then] = passes(program)
  const until = untilGradients(program, then)
  const run = attentionBlocks(attentionLimits)([...first, ...then, ...until])
  const [ran, after] = [run.slice(0, first.length), run.slice(first.length, first.length + then.length)]
  return { kept: keptBytes(ran, after), peak: peakBytes(run.slice(first.length + then.length), after) }
}

/**
 * What an update of a learner holds, as every engine does: states and gradients are as many bytes as their elements say;
 * activations are those of the graph that is run at the first of its sizes, of the shipped objectives the largest, each result
 * held once; what works beside them is what the order of the graph needs. An engine's library, its own copies, and a batch's
 * inputs are not in it.
 *
 * @category cost
 */
export const learnerMemory = ({ program, trained }: LearnerProgram): StepMemory => {
  const states = [...program.states.values()]
  const weights = states.filter(({ key }) => isWeightKey(key))
  const learns = new Set(trained)
  const moved = weights.filter(({ key }) => learns.has(key))
  const moments = states.filter(({ key }) => isOptimizerKey(key))
  const { kept, peak } = bytesOfPasses(program)
  return {
    parameters: count(weights),
    trained: count(moved),
    weights: bytes(weights),
    storedWeights:
      bytes(weights) -
      bytes(weights.filter((s) => !learns.has(s.key) && s.dtype === 'float32' && s.axes.length > 1)) / 2,
    optimizer: bytes(moments),
    gradients: bytes(moved),
    activations: kept,
    working: Math.max(0, peak - kept - bytes(moved)),
    others: bytes(states) - bytes(weights) - bytes(moments),
  }
}

/**
 * {@link learnerMemory} of one step of next-token training, which needs neither weights nor data.
 *
 * @throws RecipeError where a size is none, or nothing that learns is in the loss; LoraError where adapters do not fit
 * @category cost
 */
export const stepMemory = (options: PlannedStep): StepMemory => {
  const {
    model,
    train,
    sizes,
    transforms = [],
    optimizer,
  } = onlySettings('stepMemory', options, ['model', 'train', 'sizes', 'transforms', 'optimizer'])
  const where = 'stepMemory'
  const all = {
    rows: wholeSetting(where, 'rows', sizes.rows, 1),
    tokens: wholeSetting(where, 'tokens', sizes.tokens, 2),
    images: wholeSetting(where, 'images', sizes.images, 0),
    ...(sizes.learnt === undefined ? {} : { learnt: wholeSetting(where, 'learnt', sizes.learnt, 1) }),
  }
  return learnerMemory(
    learnerProgram({
      ...{ name: where, train, transforms, optimizer: optimizer ?? adamWith() },
      ...{ maxGradientNorm: 1, accumulate: 1 },
      objective: {
        ...{ name: where, config: { kind: where }, unit: 'nats per token', model },
        ...{ batch: all.rows, buckets: [all], terms: () => nextTokenTerms(model, all), collate: () => [] },
      },
    }),
  )
}
