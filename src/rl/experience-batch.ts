/**
 * From packs of experiences to the arrays of a batch, and the graph that reads them. Axis names: row, token (of what the
 * model reads), completion, place (of what was drawn).
 *
 * @since 0.3.0
 */
import {
  CollateError,
  imageArrays,
  type Processor,
  type RgbImage,
  segmentsText,
  tokensOfTiles,
} from '../data/index.ts'
import { and, axis, causal, gather, input, merge, sameSegment, type Tensor } from '../dsl/index.ts'
import type { TensorValue } from '../engine/index.ts'
import { type CausalLm, imageInputs } from '../models/index.ts'
import { floats, imageValues, ints } from '../train/index.ts'
import type { Experience, ExperiencePack, ExperienceSizes, PlacedExperience } from './experience.ts'

/** Where the images' tokens stand, by the index of their image in the pack. @throws CollateError `ImageTokens` */
const visualIndexOf = (
  { placed, images }: ExperiencePack<Experience>,
  sizes: ExperienceSizes,
  processor: Processor,
): Int32Array => {
  const out = new Int32Array(sizes.rows * sizes.tokens).fill(-1)
  const { placeholder = -1 } = processor.image ?? {}
  const tokens = tokensOfTiles(processor, images)
  // where each image's tokens begin among those of all
  const begins = new Map<RgbImage, number>()
  let all = 0
  images.forEach((image, i) => {
    begins.set(image, all)
    all += tokens[i]!
  })
  for (const { experience: e, row, start } of placed) {
    const own = tokensOfTiles(processor, e.images)
    // the index of each of its image tokens, in their order
    const places = e.images.flatMap((image, i) =>
      Array.from({ length: own[i]! }, (_, n) => begins.get(image)! + n),
    )
    let seen = 0
    e.promptIds.forEach((id, t) => {
      if (id === placeholder) out[row * sizes.tokens + start + t] = places[seen++] ?? -1
    })
    if (seen !== places.length)
      throw new CollateError(
        'ImageTokens',
        e.id,
        `completion ${e.id} has ${e.images.length} images but ${seen} image tokens; they take ${places.length}`,
      )
  }
  return out
}

/** One array a completion, as rows of a batch; 0 where there is no token. Shape [completion, place]. */
const byCompletion = <A extends Int32Array | Float32Array>(
  into: A,
  placed: readonly PlacedExperience<Experience>[],
  width: number,
  value: (p: PlacedExperience<Experience>, t: number) => number,
): A => {
  placed.forEach((p, i) => {
    for (let t = 0; t < p.experience.ids.length; t++) into[i * width + t] = value(p, t)
  })
  return into
}

/** What the model reads of a pack, which positions predict the drawn tokens, and which tokens these are. */
export const readingInputs = (
  pack: ExperiencePack<Experience>,
  sizes: ExperienceSizes,
  processor: Processor,
): Readonly<Record<string, TensorValue>> => {
  const { rows, tokens, images, completions, answer } = sizes
  const segments = pack.placed.map(({ experience: e, row, start }) => {
    const ids = [...e.promptIds, ...e.ids]
    return {
      conversation: {
        ...{ id: e.id, ids, promptLength: e.promptIds.length, images: e.images },
        lossMask: ids.map(() => false),
      },
      row,
      start,
    }
  })
  const text = segmentsText(segments, sizes, processor)
  const segmentIds = new Int32Array(rows * tokens)
  segments.forEach(({ conversation, row, start }, i) => {
    segmentIds.fill(i + 1, row * tokens + start, row * tokens + start + conversation.ids.length)
  })
  const drawn = completions * answer
  const places = byCompletion(new Int32Array(drawn), pack.placed, answer, ({ experience, row, start }, t) => {
    // a token is predicted where the one before it stands
    return row * tokens + start + experience.promptIds.length + t - 1
  })
  const targets = byCompletion(new Int32Array(drawn), pack.placed, answer, (p, t) => p.experience.ids[t]!)
  return {
    input_ids: ints(text.input_ids, rows, tokens),
    position_ids: ints(text.position_ids, rows, tokens),
    segment_ids: ints(segmentIds, rows, tokens),
    places: ints(places, completions, answer),
    targets: ints(targets, completions, answer),
    ...(images === 0
      ? {}
      : {
          visual_index: ints(visualIndexOf(pack, sizes, processor), rows, tokens),
          ...imageValues(
            imageArrays(
              [{ id: pack.placed[0]?.experience.id ?? '', images: pack.images }],
              images,
              processor,
            ),
            images,
            processor,
          ),
        }),
  }
}

/** Log-probabilities, which an experience has beside those of the old policy. */
export type ExtraLogProbs = 'samplingLogProbs' | 'referenceLogProbs'

/** What a loss reads of a pack beside that: log-probabilities, advantages, and which tokens there are. */
export const learningInputs = (
  { placed }: ExperiencePack<Experience>,
  { completions, answer }: ExperienceSizes,
  extra: readonly ExtraLogProbs[],
  bySteps: boolean,
): Readonly<Record<string, TensorValue>> => {
  const of = (value: (p: PlacedExperience<Experience>, t: number) => number): TensorValue =>
    floats(byCompletion(new Float32Array(completions * answer), placed, answer, value), completions, answer)
  const advantages = new Float32Array(completions)
  placed.forEach(({ experience }, i) => {
    advantages[i] = experience.advantage
  })
  const logProbs = (key: 'oldLogProbs' | ExtraLogProbs): TensorValue =>
    of(({ experience: e }, t) => {
      const x = e[key]?.[t]
      if (x !== undefined && Number.isFinite(x)) return x
      throw new TypeError(`completion ${e.id}: ${key}[${t}] is ${x}; give a finite number for each token`)
    })
  return {
    old_log_probs: logProbs('oldLogProbs'),
    ...Object.fromEntries(extra.map((key) => [inputOf[key], logProbs(key)])),
    mask: of(() => 1),
    advantages: bySteps
      ? of(({ experience: e }, t) => e.advantage + (e.stepAdvantages?.[t] ?? 0))
      : floats(advantages, completions),
  }
}

/** The names of inputs. */
export const inputOf: Readonly<Record<ExtraLogProbs, string>> = {
  samplingLogProbs: 'sampling_log_probs',
  referenceLogProbs: 'reference_log_probs',
}

/**
 * Logits of the drawn tokens, and which they are: float32 `[batch, token, vocab]` and int32 `[batch, token]`, a row a
 * completion. The head is applied where a token was drawn and nowhere else: prompts, with all their image tokens, cost none.
 */
export const drawnLogits = (
  model: CausalLm,
  { rows, tokens, images, completions, answer }: ExperienceSizes,
): { readonly logits: Tensor; readonly targets: Tensor; readonly segments: Tensor } => {
  const [batch, token] = [axis('batch', rows), axis('token', tokens)]
  const of = (name: string): Tensor => input(name, [batch, token], 'int32')
  const seen = images === 0 ? undefined : imageInputs(model, images, batch, token)
  const segments = of('segment_ids')
  const hidden = model.decode(model.embed(of('input_ids'), seen), {
    token,
    positions: of('position_ids'),
    mask: and(sameSegment(segments, 'token'), causal(token)),
  })
  const drawn = [axis('batch', completions), axis('token', answer)]
  const places = input('places', drawn, 'int32')
  const flat = merge(hidden, ['batch', 'token'], axis('position', rows * tokens))
  return { segments, logits: model.head(gather(flat, places)), targets: input('targets', drawn, 'int32') }
}
