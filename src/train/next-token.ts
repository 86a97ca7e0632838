/**
 * Next-token prediction: alignment, pretraining and SFT (SAIL-VL2 §2.1, §3.2, §4.2), with images or without.
 *
 * @since 0.1.0
 */
import {
  type Conversation,
  collateImages,
  collateText,
  countedLabels,
  fitting,
  type Processor,
} from '../data/index.ts'
import { axis, causal, equal, input, iota } from '../dsl/index.ts'
import { type CausalLm, nextLabels } from '../models/index.ts'
import { onlySettings } from '../settings/index.ts'
import { present } from '../settings/internal.ts'
import { imageValues, ints, textValues } from './batch-inputs.ts'
import { type Distillation, teaches, tokenTerms } from './distillation.ts'
import { withExperts } from './expert-terms.ts'
import {
  type AtPlaces,
  type Learnt,
  labelledPlaces,
  learntConfig,
  learntLogits,
  learntSetting,
  learntSizes,
  placed,
} from './learnt-places.ts'
import type { LossTerms, MicroBatch, Objective } from './objective.ts'
import { batchSetting, RecipeError, wholeSetting } from './setting-checks.ts'

/** Sizes of {@link nextToken}. */
export interface NextTokenSizes {
  /** Conversations of one micro-batch, a row each. */
  readonly rows: number
  /** Tokens a row; a longer conversation is an error. */
  readonly tokens: number
  /**
   * Images of one micro-batch, tiles counted one by one; 0 for text alone. Default: one a row where the processor lays out
   * images, else 0. Of a model that reads images of any size their squares, which are its visual tokens; there is no default.
   */
  readonly images?: number
  /**
   * Tokens of a row that are learnt at most: the last block, the head and the loss are computed for as many places of a row, and
   * the loss and its gradients stay the same. With a number a conversation that learns more is an error. Default `auto`: what
   * each batch has, in one of up to three sizes; `all` computes everything.
   */
  readonly learnt?: Learnt
}

/** Options of {@link nextToken}. */
export interface NextTokenOptions {
  /** A teacher to learn from; default: the labels are learnt alone. */
  readonly distill?: Distillation
}

/** Images of a micro-batch that says nothing of them: one a row; of any resolution none, for they are of any number of squares. */
export const imagesByDefault = ({ image }: Processor, rows: number): number | undefined => {
  if (image === undefined) return 0
  return image.patchSize === undefined ? rows : undefined
}

/** How many images a batch has room for. @throws RecipeError where the processor lays out none and there is to be room */
export const imagesSetting = (where: string, images: unknown, { image }: Processor): number => {
  const n = wholeSetting(where, 'images', images, 0)
  if (n === 0 || image !== undefined) return n
  throw new RecipeError(where, 'images', `it is ${n}, and the processor lays out text alone; give 0`)
}

/** The text of a batch as graph inputs. Padding is on the right, where no real token looks. */
export const textGraph = (rows: number, tokens: number) => {
  const [batch, token] = [axis('batch', rows), axis('token', tokens)]
  const of = (name: string) => input(name, [batch, token], 'int32')
  return {
    batch,
    token,
    ids: of('input_ids'),
    positions: of('position_ids'),
    labels: nextLabels(of('labels')),
    mask: causal(token),
  }
}

/** Sizes with their defaults; without `learnt` any number of tokens of a row may be learnt. */
export type WholeSizes = AtPlaces<Required<Omit<NextTokenSizes, 'learnt'>>>

/** The loss of {@link nextToken} as graph, at sizes that are given in full. */
export const nextTokenTerms = (
  model: CausalLm,
  { rows, tokens, images, learnt }: WholeSizes,
  distill?: Distillation,
): LossTerms => {
  const [x, places] = [textGraph(rows, tokens), { images, learnt }]
  const student = learntLogits('nextToken', model, x, places)
  const terms = tokenTerms('nextToken', student, x, places, student.at(x.labels), distill)
  // behind its conversation a row has position 0 again
  const counted = equal(x.positions, iota(x.token))
  return withExperts(model, student.logits, counted, terms)
}

/**
 * The mean loss in nats per token over what the conversations' loss masks count, each token given all before it.
 *
 * @throws ProcessorError where the processor does not make what the model reads, or its teacher
 * @throws RecipeError where a size is no whole number from 1, or a teacher has another vocabulary
 * @category objectives
 */
export const nextToken = (
  model: CausalLm,
  processor: Processor,
  sizes: NextTokenSizes,
  options: NextTokenOptions = {},
): Objective<Conversation> => {
  onlySettings('nextToken', sizes, ['rows', 'tokens', 'images', 'learnt'])
  const { distill } = onlySettings('nextToken', options, ['distill'])
  fitting(processor, model)
  teaches('nextToken', processor, model, distill)
  const rows = wholeSetting('nextToken', 'rows', sizes.rows, 1)
  const tokens = wholeSetting('nextToken', 'tokens', sizes.tokens, 2)
  const images = imagesSetting('nextToken', sizes.images ?? imagesByDefault(processor, rows), processor)
  batchSetting('nextToken', rows, tokens)
  const learnt = learntSetting('nextToken', sizes.learnt, tokens)
  const all = { rows, tokens, images }
  const buckets = learntSizes(learnt, all, model, () => textGraph(rows, tokens))
  return {
    name: 'nextToken',
    config: {
      kind: 'nextToken',
      model: model.config,
      processor: processor.config,
      ...all,
      ...learntConfig(learnt),
      ...present({ distill: distill?.config }),
    },
    unit: 'nats per token',
    model,
    ...present({ frozen: distill && [distill.frozen] }),
    processor,
    batch: rows,
    get buckets() {
      return buckets()
    },
    terms: (at) => nextTokenTerms(model, { ...all, ...at }, distill),
    collate: (conversations) => {
      const batches: MicroBatch[] = []
      for (let at = 0; at < conversations.length; at += rows) {
        const some = conversations.slice(at, at + rows)
        const text = collateText(some, all, processor)
        // images that the batch has no place for are an error there
        const seen = collateImages(some, all, processor)
        const learns = placed(buckets(), labelledPlaces(text.labels, all), (row) => some[row]!.id)
        // a conversation with nothing to learn is an error as well
        countedLabels(some, text.labels, all)
        batches.push({
          ...{ sizes: learns.sizes, offered: true },
          inputs: {
            ...{ ...textValues(text, all), labels: ints(text.labels, rows, tokens) },
            ...{ ...learns.inputs, ...imageValues(seen, all, processor) },
          },
        })
      }
      return batches
    },
  }
}
