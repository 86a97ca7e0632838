/**
 * What a stage minimises: a loss as graph, before any mean is taken, and how examples feed it. An objective closes over its
 * model and processor: nothing above it knows which they are.
 *
 * @since 0.1.0
 */

import type { PackLayout, Processor } from '../data/index.ts'
import {
  add,
  argmax,
  cast,
  crossEntropy,
  div,
  equal,
  type Keys,
  less,
  lessEqual,
  mul,
  type Scalar,
  select,
  sum,
  type Tensor,
  total,
} from '../dsl/index.ts'
import type { TensorValue } from '../engine/index.ts'
import type { Model } from '../models/index.ts'
import type { Frozen } from './frozen.ts'

/** Sizes of a batch by name: `{ rows: 16, tokens: 80, images: 16 }`. */
export type Sizes = Readonly<Record<string, number>>

/** A sum and what it is to be divided by: both add up over micro-batches. */
export interface Fraction {
  readonly sum: Scalar
  readonly weight: Scalar
}

/** What is measured beside a loss: without a unit a share, such as of right tokens; with one a mean, such as of errors in pixels. */
export interface Metric extends Fraction {
  readonly unit?: string
}

/** Losses that are no sums over samples: they are built of sums over all that an update reads. */
export interface BatchTerms {
  /** Such as how many tokens went through each expert. They add up over micro-batches, and an update gives them. */
  readonly sums: Readonly<Record<string, Tensor>>
  /**
   * Already scaled. Those of micro-batches, each given the sums of the whole update in place of its own, add up to those of
   * the update.
   */
  readonly losses: Readonly<Record<string, Scalar>>
  /** bool `[batch, token]`: the places that the sums are over. */
  readonly counted: Tensor
}

/** A loss before its mean is taken. */
export interface LossTerms extends Fraction {
  /** Losses that are added to the mean as they are, already scaled; each counts as much as its micro-batch. */
  readonly auxiliary?: Readonly<Record<string, Scalar>>
  /** Losses of the update as a whole, and what they are built of: the balance of experts. */
  readonly batch?: BatchTerms
  /**
   * What every update measures and gives with its loss, such as clip fractions; a loss that names none pays for none. Sums
   * and weights add up over micro-batches.
   */
  readonly stepMetrics?: Readonly<Record<string, Fraction>>
  /** What is measured beside the loss, built only where somebody evaluates: a training step pays for none. */
  readonly metrics?: () => Readonly<Record<string, Metric>>
}

/** Examples as the inputs of one call. */
export interface MicroBatch {
  /** Those of the objective's buckets that it was made for. */
  readonly sizes: Sizes
  readonly inputs: Readonly<Record<string, TensorValue>>
  /**
   * Whether inputs that the loss leaves unread are left out, as positions are where the model has none; default: they are
   * refused by name.
   */
  readonly offered?: boolean
  /** How samples share rows, where an example is a pack of them. */
  readonly packing?: PackLayout
}

/** A loss and its inputs. `E` is what a source gives: a conversation, a labelled image. */
export interface Objective<in E> {
  readonly name: string
  /** Everything that determines it, as plain JSON data: it belongs to the run's identity. */
  readonly config: unknown
  /** What the loss is counted in: `nats per token`. */
  readonly unit: string
  readonly model: Model
  /** Parameters that it has beside the model's own and that begin fresh in its stage, such as a probe. */
  readonly own?: Keys
  /** Weights that it reads and that never learn, such as a teacher's. */
  readonly frozen?: readonly Frozen[]
  /** What lays out its examples as tokens: its tokenizer goes with the weights. */
  readonly processor?: Processor
  /** What an example is, in the singular, where it is no sample: `pack`. */
  readonly example?: string
  /** Examples of one micro-batch. */
  readonly batch: number
  /** The sizes that it is compiled for. */
  readonly buckets: readonly Sizes[]
  /** Builds the loss at one of the buckets. */
  readonly terms: (sizes: Sizes) => LossTerms
  /**
   * Examples as micro-batches, as many as it takes. A supervised stage and evaluations give it at most `batch` examples at
   * a time (an evaluation's last ones may be fewer), whatever `accumulate` is.
   *
   * @throws CollateError where an example does not fit, naming it
   */
  readonly collate: (examples: readonly E[]) => readonly MicroBatch[]
}

/** A fraction's value; 0 where nothing was counted. */
export const ratioOf = ({ sum: s, weight }: Fraction): Scalar =>
  div(s, select(less(0, weight), weight, 1)) as Scalar

const addedUp = (all: readonly Tensor[]): Scalar | undefined =>
  all.length === 0 ? undefined : (all.reduce((a, b) => add(a, b)) as Scalar)

/** The auxiliary losses, added up; undefined where there are none. */
const auxiliaryOf = (terms: LossTerms): Scalar | undefined => addedUp(Object.values(terms.auxiliary ?? {}))

/** The losses of the update as a whole, added up; undefined where there are none. */
export const batchLossOf = (terms: LossTerms): Scalar | undefined =>
  addedUp(Object.values(terms.batch?.losses ?? {}))

/** The loss itself: the mean, the auxiliary losses and those of the update as a whole. */
export const lossOf = (terms: LossTerms): Scalar => {
  const others = [auxiliaryOf(terms), batchLossOf(terms)].filter((t) => t !== undefined)
  return addedUp([ratioOf(terms), ...others])!
}

/** The loss's sum with its auxiliary losses in it, each of which counts as much as its micro-batch; without the losses of the whole update. */
export const lossSum = (terms: LossTerms): Scalar => {
  const auxiliary = auxiliaryOf(terms)
  return auxiliary === undefined ? terms.sum : (add(terms.sum, mul(auxiliary, terms.weight)) as Scalar)
}

/**
 * Cross-entropy as terms, over the positions whose label is not −100. Metrics: `correct`, the share of positions whose label
 * is the likeliest; `exactMatch`, the share of rows of which all are.
 *
 * @param heads logits float32 `[row, …, axis]`, labels int32 `[row, …]`; several heads count the same positions
 * @category losses
 */
export const crossEntropyTerms = (
  axis: string,
  ...heads: readonly { readonly logits: Tensor; readonly labels: Tensor }[]
): LossTerms => {
  const losses = heads.map((h) => crossEntropy(h.logits, h.labels, axis))
  const added = (all: readonly Tensor[]): Scalar => all.reduce((a, b) => add(a, b)) as Scalar
  return {
    sum: added(losses.map((l) => l.sum)),
    weight: losses[0]!.count,
    metrics: () => {
      const perRow = (t: Tensor): Tensor => sum(t, ...t.names.slice(1))
      const of = (each: (h: (typeof heads)[number]) => Tensor): Tensor =>
        added(heads.map((h) => perRow(cast(each(h), 'float32'))))
      const right = of((h) => equal(argmax(h.logits, axis), h.labels))
      const counted = of((h) => lessEqual(0, h.labels))
      const some = cast(less(0, counted), 'float32')
      return {
        correct: { sum: total(right), weight: total(counted) },
        exactMatch: { sum: total(select(equal(right, counted), some, 0)), weight: total(some) },
      }
    },
  }
}
