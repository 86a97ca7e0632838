/**
 * From packs of experiences to the arrays of a batch, and the graph that reads them. Axis names: row, token (of what the
 * model reads), completion, place (of what was drawn).
 *
 * @since 0.1.0
 */
import {
  CollateError,
  type ImageBatch,
  imageArrays,
  type Processor,
  type RgbImage,
  segmentsText,
  tokensOfTiles,
} from '../data/index.ts'
import {
  type Axis,
  and,
  axis,
  causal,
  gather,
  input,
  merge,
  sameBranch,
  sameSegment,
  type Tensor,
} from '../dsl/index.ts'
import type { TensorValue } from '../engine/index.ts'
import { type CausalLm, imageInputs, positionsOfKeys } from '../models/index.ts'
import { present } from '../settings/internal.ts'
import type { AtPlaces } from '../train/index.ts'
import {
  floats,
  givenOf,
  imageValues,
  ints,
  learntPlacesInput,
  placed,
  textValues,
} from '../train/internal.ts'
import type { Experience } from './experience.ts'
import type { ExperiencePack, ExperienceSizes, PlacedExperience } from './experience-pack.ts'

/** The images of a pack, and where their tokens stand. @throws CollateError `ImageTokens` */
const imagesOf = (
  { prompts, images }: ExperiencePack<Experience>,
  sizes: ExperienceSizes,
  processor: Processor,
): ImageBatch => {
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
  for (const { id: completion, promptIds, images: shown, row, start } of prompts) {
    const own = tokensOfTiles(processor, shown)
    // the index of each of its image tokens, in their order
    const places = shown.flatMap((image, i) =>
      Array.from({ length: own[i]! }, (_, n) => begins.get(image)! + n),
    )
    let seen = 0
    promptIds.forEach((id, t) => {
      if (id === placeholder) out[row * sizes.tokens + start + t] = places[seen++] ?? -1
    })
    if (seen !== places.length)
      throw new CollateError(
        'ImageTokens',
        completion,
        `completion ${completion} has ${shown.length} images but ${seen} image tokens; they take ${places.length}`,
      )
  }
  const arrays = imageArrays([{ id: prompts[0]?.id ?? '', images }], sizes.images, processor)
  return { visual_index: out, ...arrays }
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

/** The place in its row of the token that a drawn one is predicted by: the one before it, for the first where the prompt ends. */
const predictedAt = ({ prompt, start }: PlacedExperience<Experience>, t: number): number =>
  (t === 0 ? prompt.start + prompt.promptIds.length : start + t) - 1

/** Where a pack's tokens are predicted, row by row, in order. */
const predictingPlaces = (
  { placed }: ExperiencePack<Experience>,
  rows: number,
): readonly (readonly number[])[] => {
  const all = Array.from({ length: rows }, () => new Set<number>())
  for (const p of placed)
    p.experience.ids.forEach((_, t) => {
      all[p.prompt.row]!.add(predictedAt(p, t))
    })
  return all.map((places) => [...places].sort((a, b) => a - b))
}

/** A pack as the model reads it, and the sizes that it was laid out for. */
interface ReadPack {
  readonly sizes: AtPlaces<ExperienceSizes>
  readonly inputs: Readonly<Record<string, TensorValue>>
}

/**
 * What the model reads of a pack, which positions predict the drawn tokens, and which tokens these are. `segment_ids` numbers
 * the copies of prompts, from 1, and all that stands behind each; `branch_ids` numbers its completions, from 1, and is 0 in
 * the prompt. The positions of every completion go on where its prompt ends.
 *
 * @param all the sizes that there are; the smallest is taken that has a place for each position that predicts
 */
export const readingInputs = (
  pack: ExperiencePack<Experience>,
  all: readonly AtPlaces<ExperienceSizes>[],
  processor: Processor,
): ReadPack => {
  const predicting = predictingPlaces(pack, all[0]!.rows)
  const { sizes, inputs: wanted } = placed(
    all,
    predicting,
    (row) => pack.placed.find(({ prompt }) => prompt.row === row)!.experience.id,
  )
  const { rows, tokens, images, completions, answer } = sizes
  const part = (id: string, ids: readonly number[], row: number, start: number) => ({
    conversation: { id, ids, promptLength: ids.length, images: [], lossMask: ids.map(() => false) },
    ...{ row, start },
  })
  const text = segmentsText(
    [
      ...pack.prompts.map((p) => part(p.id, p.promptIds, p.row, p.start)),
      ...pack.placed.map(({ experience: e, prompt, start }) => part(e.id, e.ids, prompt.row, start)),
    ],
    sizes,
    processor,
  )
  const [segmentIds, branchIds] = [new Int32Array(rows * tokens), new Int32Array(rows * tokens)]
  const numbers = new Map(pack.prompts.map((p, i) => [p, i + 1]))
  for (const [p, number] of numbers) {
    const from = p.row * tokens + p.start
    segmentIds.fill(number, from, from + p.promptIds.length)
  }
  pack.placed.forEach(({ experience, prompt, start }, i) => {
    const from = prompt.row * tokens + start
    const end = from + experience.ids.length
    segmentIds.fill(numbers.get(prompt)!, from, end)
    branchIds.fill(i + 1, from, end)
    for (let at = from; at < end; at++) text.position_ids[at]! += prompt.promptIds.length
  })
  const drawn = completions * answer
  // each place by its number among those of its row that are computed
  const numberOf = predicting.map((own) => new Map(own.map((place, i) => [place, i])))
  const places = byCompletion(new Int32Array(drawn), pack.placed, answer, (p, t) => {
    const [row, place] = [p.prompt.row, predictedAt(p, t)]
    return sizes.learnt === undefined ? row * tokens + place : row * sizes.learnt + numberOf[row]!.get(place)!
  })
  const targets = byCompletion(new Int32Array(drawn), pack.placed, answer, (p, t) => p.experience.ids[t]!)
  const inputs = {
    ...wanted,
    ...textValues(text, sizes),
    segment_ids: ints(segmentIds, rows, tokens),
    branch_ids: ints(branchIds, rows, tokens),
    places: ints(places, completions, answer),
    targets: ints(targets, completions, answer),
    ...(images === 0 ? {} : imageValues(imagesOf(pack, sizes, processor), sizes, processor)),
  }
  return { sizes, inputs }
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

/** What a model reads of experiences, but for images, as graph inputs; and the copies of prompts by number. */
export const experienceGraph = ({ rows, tokens }: Pick<ExperienceSizes, 'rows' | 'tokens'>) => {
  const [batch, token] = [axis('batch', rows), axis('token', tokens)]
  const of = (name: string): Tensor => input(name, [batch, token], 'int32')
  const segments = of('segment_ids')
  return {
    ...{ token, segments, ids: of('input_ids'), positions: of('position_ids') },
    mask: and(and(sameSegment(segments, 'token'), sameBranch(of('branch_ids'), 'token')), causal(token)),
  }
}

/**
 * Logits of the drawn tokens, and which they are: float32 `[batch, token, vocab]` and int32 `[batch, token]`, a row a
 * completion. The head is applied where a token was drawn and nowhere else: prompts, with all their image tokens, cost none.
 *
 * @throws RecipeError where the model's decode does not give the places that it is asked for, each as it is among all
 */
export const drawnLogits = (
  model: CausalLm,
  { learnt, ...sizes }: AtPlaces<ExperienceSizes>,
): { readonly logits: Tensor; readonly targets: Tensor; readonly segments: Tensor } => {
  const { rows, tokens, images, completions, answer } = sizes
  const { segments, ids, ...context } = experienceGraph(sizes)
  const [batch] = ids.axes as readonly [Axis<'batch'>]
  const seen = images === 0 ? undefined : imageInputs(model, images, batch, context.token)
  const wanted = learnt === undefined ? undefined : learntPlacesInput(batch, learnt)
  const decoded = model.decode(model.embed(ids, seen), {
    ...context,
    keyPositions: positionsOfKeys(context.positions),
    ...present({ wanted }),
  })
  const hidden = givenOf('policyGradient', model, decoded, wanted)
  const drawn = [axis('batch', completions), axis('token', answer)]
  const places = input('places', drawn, 'int32')
  const flat = merge(hidden, ['batch', 'token'], axis('position', rows * (learnt ?? tokens)))
  return { segments, logits: model.head(gather(flat, places)), targets: input('targets', drawn, 'int32') }
}
