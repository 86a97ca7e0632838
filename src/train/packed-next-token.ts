/**
 * Next-token prediction over packs (SAIL-VL2 §5.1): several samples share a row and none sees another.
 *
 * @since 0.1.0
 */
import { collatePacked, fitting, layoutOf, type Pack, type PackSizes, type Processor } from '../data/index.ts'
import {
  add,
  and,
  argmax,
  axis,
  cast,
  contract,
  equal,
  input,
  iota,
  less,
  lessEqual,
  type Scalar,
  sameSegment,
  select,
  type Tensor,
  total,
} from '../dsl/index.ts'
import type { CausalLm } from '../models/index.ts'
import { onlySettings } from '../settings/index.ts'
import { present } from '../settings/internal.ts'
import { imageValues, ints, textValues } from './batch-inputs.ts'
import { type Distillation, teaches, tokenTerms } from './distillation.ts'
import { withExperts } from './expert-terms.ts'
import {
  type Learnt,
  labelledPlaces,
  learntConfig,
  learntLogits,
  learntSetting,
  learntSizes,
  placed,
} from './learnt-places.ts'
import { imagesSetting, textGraph } from './next-token.ts'
import type { Fraction, Objective } from './objective.ts'
import { batchSetting, wholeSetting, wordSetting } from './setting-checks.ts'

/** How many positions of each sample are so: `is` bool `[batch, token]`, segments int32 `[batch, token]` from 1, 0 for padding. */
const bySample = (is: Tensor, segments: Tensor, tokens: number): Tensor => {
  const member = cast(equal(segments, add(iota(axis('segment', tokens)), 1)), 'float32')
  return contract(cast(is, 'float32'), member, 'token')
}

/** The share of samples of which every counted position is right; `right` says whether a position is counted and right. */
const wholeSamples = (right: Tensor, counted: Tensor, segments: Tensor, tokens: number): Fraction => {
  const all = bySample(counted, segments, tokens)
  const some = cast(less(0, all), 'float32')
  return {
    sum: total(select(equal(bySample(right, segments, tokens), all), some, 0)),
    weight: total(some),
  }
}

/** What a loss is the mean of: counted tokens, each as much; or samples, each the sum over its counted tokens. */
export type LossMean = 'token' | 'sample'

/** Options of {@link packedNextToken}. */
export interface PackedLossOptions {
  /**
   * Default `token`. With `sample` the loss is −1/|D| Σ log P(what is learnt | what comes before it), the sum over a sample's
   * tokens and the mean over samples: SAIL-VL2's loss on chains of thought and, where each sample counts what is its own to
   * learn (thought and answer of a chain, the answer alone of a direct one), its dual loss of think-fusion (§4.2.4).
   */
  readonly mean?: LossMean
  /**
   * Tokens of a row that are learnt at most, of all its samples together: the last block, the head and the loss are computed for
   * as many places of a row, and the loss and its gradients stay the same. With a number a row that learns more is an error.
   * Default `auto`: what each pack has, in one of up to three sizes; `all` computes everything.
   */
  readonly learnt?: Learnt
  /** A teacher to learn from; default: the labels are learnt alone. */
  readonly distill?: Distillation
}

/**
 * The mean loss in nats per token over what the loss masks of all samples of a pack count, each token given all before it
 * in its own sample; with `mean: 'sample'` in nats per sample. The loss and the gradients are those of the samples in rows of
 * their own. An example is a pack, and a pack is a micro-batch. Padding is a segment of its own, so that no row is without
 * anything to attend to.
 *
 * Metrics: `correct`, the share of counted positions whose label is the likeliest; `exactMatch`, the share of samples of
 * which all are.
 *
 * @example
 * import { packed } from 'sailwright/data'
 * import { nanoModel, nanoProcessor, rendered } from 'sailwright/tasks'
 *
 * const sizes = { rows: 4, tokens: 240, images: 20 }
 * const mixture = { seed: 'a', split: 'train', levels: [1, 3], weights: { read: 1 } } as const
 * const reader = supervised({
 *   ...{ name: 'adapt', from: 'bases', to: 'reader', train: [nanoModel.parts.adapter] },
 *   objective: packedNextToken(nanoModel, nanoProcessor(), sizes),
 *   source: packed(rendered({ mixture, captions: 0.3 }), { ...sizes, buffer: 64 }),
 *   ...{ steps: 10, learningRate: 1e-3 },
 * })
 *
 * @throws ProcessorError where the processor does not make what the model reads, or its teacher
 * @throws RecipeError where a size is no whole number, a setting is none, or a teacher has another vocabulary
 * @category objectives
 */
export const packedNextToken = (
  model: CausalLm,
  processor: Processor,
  sizes: PackSizes,
  options: PackedLossOptions = {},
): Objective<Pack> => {
  onlySettings('packedNextToken', options, ['mean', 'learnt', 'distill'])
  onlySettings('packedNextToken', sizes, ['rows', 'tokens', 'images'])
  fitting(processor, model)
  const { mean = 'token', distill } = options
  teaches('packedNextToken', processor, model, distill)
  const whole = (setting: keyof PackSizes, least: number): number =>
    wholeSetting('packedNextToken', setting, sizes[setting], least)
  const [rows, tokens] = [whole('rows', 1), whole('tokens', 2)]
  const images = imagesSetting('packedNextToken', sizes.images, processor)
  batchSetting('packedNextToken', rows, tokens)
  const all = { rows, tokens, images }
  wordSetting('packedNextToken', 'mean', mean, ['token', 'sample'])
  const perSample = mean === 'sample'
  const learnt = learntSetting('packedNextToken', options.learnt, tokens)
  const graph = () => {
    const x = textGraph(rows, tokens)
    const segments = input('segment_ids', [x.batch, x.token], 'int32')
    return { ...x, segments, mask: and(sameSegment(segments, 'token'), x.mask) }
  }
  const buckets = learntSizes(learnt, all, model, graph)
  return {
    name: 'packedNextToken',
    config: {
      kind: 'packedNextToken',
      model: model.config,
      processor: processor.config,
      ...all,
      ...(perSample ? { mean } : {}),
      ...learntConfig(learnt),
      ...present({ distill: distill?.config }),
    },
    unit: perSample ? 'nats per sample' : 'nats per token',
    model,
    processor,
    ...present({ frozen: distill && [distill.frozen] }),
    ...{ example: 'pack', batch: 1 },
    get buckets() {
      return buckets()
    },
    terms: ({ learnt: places }) => {
      const x = graph()
      const sizes = { images, learnt: places }
      const student = learntLogits('packedNextToken', model, x, sizes)
      const { logits, at } = student
      const [labels, segments] = [at(x.labels), at(x.segments)]
      const terms = tokenTerms('packedNextToken', student, x, sizes, labels, distill)
      const counted = lessEqual(0, labels)
      const samples = (): Scalar => total(cast(less(0, bySample(counted, segments, tokens)), 'float32'))
      const own = perSample ? { ...terms, weight: samples() } : terms
      const balanced = withExperts(model, logits, less(0, x.segments), own)
      return {
        ...balanced,
        metrics: () => {
          // no token's id is -100, so what is right is counted
          const right = equal(argmax(logits, 'vocab'), labels)
          return {
            ...terms.metrics?.(),
            exactMatch: wholeSamples(right, counted, segments, tokens),
          }
        },
      }
    },
    collate: (packs) =>
      packs.map((pack) => {
        const b = collatePacked(pack, all, processor)
        const learns = placed(buckets(), labelledPlaces(b.labels, all), (row) => pack.rows[row]![0]!.id)
        return {
          ...{ sizes: learns.sizes, offered: true },
          inputs: {
            ...{ ...textValues(b, all), labels: ints(b.labels, rows, tokens) },
            ...{ ...learns.inputs, segment_ids: ints(b.segment_ids, rows, tokens) },
            ...imageValues(b, all, processor),
          },
          packing: layoutOf(pack, all, processor),
        }
      }),
  }
}
