/**
 * What a policy learns from: one completion with its advantage; and how completions share the rows of a batch.
 *
 * @since 0.3.0
 */
import { CollateError, type Processor, type RgbImage, tilesOf } from '../data/index.ts'
import type { RatedGroup } from './group.ts'
import { counts } from './overlong.ts'

/** A completion as a loss reads it. */
export interface Experience {
  /** Errors name it. */
  readonly id: string
  /** Tokens that the policy read. Shape [token]. */
  readonly promptIds: readonly number[]
  /** In the order of their tokens in the prompt. */
  readonly images: readonly RgbImage[]
  /** Tokens that it drew, at least one. Shape [token]. */
  readonly ids: readonly number[]
  /** Under the policy that the ratio is taken against, at the sampling temperature. Shape [token]. */
  readonly oldLogProbs: readonly number[]
  /** Under the policy that drew them, where it is another. Shape [token]. */
  readonly samplingLogProbs?: readonly number[]
  /** Under the reference. Shape [token]. */
  readonly referenceLogProbs?: readonly number[]
  readonly advantage: number
  /** What each token is worth beside that, where steps were judged. Shape [token]. */
  readonly stepAdvantages?: readonly number[]
}

/** A group's completion as a loss reads it; without an advantage it has 0. */
export const experienceOf = (group: RatedGroup, sample: number): Experience => {
  const { task, completions, oldLogProbs, referenceLogProbs } = group
  const reference = referenceLogProbs?.[sample]
  const steps = group.stepAdvantages?.[sample]
  const { promptIds, ids, logProbs } = completions[sample]!
  return {
    ...{ id: `${task.id}, sample ${sample}`, promptIds, images: task.prompt.images, ids },
    ...{ oldLogProbs: oldLogProbs?.[sample] ?? logProbs, samplingLogProbs: logProbs },
    ...(reference === undefined ? {} : { referenceLogProbs: reference }),
    advantage: group.advantages[sample] ?? 0,
    ...(steps === undefined ? {} : { stepAdvantages: steps }),
  }
}

/**
 * What is learnt from a group: its completions with an advantage, but where `filterOverlong` says so those that were cut off.
 */
export const experiencesOf = (group: RatedGroup, filterOverlong: boolean): readonly Experience[] =>
  group.completions.flatMap((c, i) =>
    group.advantages[i] === undefined || !counts(c, filterOverlong) ? [] : [experienceOf(group, i)],
  )

/** Sizes of a micro-batch of experiences. */
export interface ExperienceSizes {
  /** Rows of tokens that the model reads; several short experiences share one. */
  readonly rows: number
  /** Tokens a row: at least the longest prompt and answer together. */
  readonly tokens: number
  /**
   * Different images of all rows together, or their squares where the model reads images of any size; the completions of one
   * task share theirs. 0 for text alone.
   */
  readonly images: number
  /** Completions of all rows together. */
  readonly completions: number
  /** Most tokens of one answer. */
  readonly answer: number
}

/** An experience, and where its prompt begins. */
export interface PlacedExperience<out E> {
  readonly experience: E
  readonly row: number
  /** Its first token's place in the row. */
  readonly start: number
}

/** The experiences of one micro-batch, and their images, each once. */
export interface ExperiencePack<out E> {
  readonly placed: readonly PlacedExperience<E>[]
  readonly images: readonly RgbImage[]
}

/** What is packed of an experience. */
type Packed = Pick<Experience, 'id' | 'promptIds' | 'ids' | 'images'>

/** Images, each once, by tiles or squares. */
type Taken = (images: Iterable<RgbImage>) => number

const checked = (e: Packed, sizes: ExperienceSizes, taken: Taken): void => {
  const wrong = (tag: 'TooLong' | 'TooMany' | 'NothingToLearn', what: string): never => {
    throw new CollateError(tag, e.id, `completion ${e.id} ${what}`)
  }
  const all = e.promptIds.length + e.ids.length
  if (e.ids.length === 0 || e.promptIds.length === 0)
    wrong('NothingToLearn', `has ${e.promptIds.length} tokens of a prompt and ${e.ids.length} of an answer`)
  if (e.ids.length > sizes.answer)
    wrong('TooLong', `has an answer of ${e.ids.length} tokens and the batch takes ${sizes.answer}`)
  if (all > sizes.tokens)
    wrong(
      'TooLong',
      `has ${all} tokens, prompt and answer, and a row holds ${sizes.tokens}; raise the row's tokens`,
    )
  if (taken(e.images) > sizes.images)
    wrong('TooMany', `has ${taken(e.images)} images and the batch holds ${sizes.images}`)
}

/**
 * Experiences as micro-batches: the longest first, each into the first place that it fits (first-fit decreasing). Nothing is
 * cut and nothing is left out; the same experiences give the same packs.
 *
 * @param processor says how many tiles of a batch an image is; default: one
 * @throws CollateError `TooLong`, `TooMany`, `NothingToLearn` where one fits no micro-batch
 */
export const packExperiences = <E extends Packed>(
  experiences: readonly E[],
  sizes: ExperienceSizes,
  processor?: Processor,
): readonly ExperiencePack<E>[] => {
  const taken: Taken = (images) => {
    const each = new Set(images)
    return processor === undefined ? each.size : tilesOf(processor, [...each])
  }
  const lengthOf = (e: E): number => e.promptIds.length + e.ids.length
  const packs: { placed: PlacedExperience<E>[]; images: Set<RgbImage>; filled: number[] }[] = []
  const rowFor = (pack: (typeof packs)[number], e: E): number => {
    if (pack.placed.length >= sizes.completions) return -1
    if (taken([...pack.images, ...e.images]) > sizes.images) return -1
    return pack.filled.findIndex((n) => n + lengthOf(e) <= sizes.tokens)
  }
  for (const experience of [...experiences].sort((a, b) => lengthOf(b) - lengthOf(a))) {
    checked(experience, sizes, taken)
    let [at, row] = [0, -1]
    for (; at < packs.length && row < 0; at++) row = rowFor(packs[at]!, experience)
    if (row < 0) {
      packs.push({ placed: [], images: new Set(), filled: Array<number>(sizes.rows).fill(0) })
      at = packs.length
      row = 0
    }
    const pack = packs[at - 1]!
    pack.placed.push({ experience, row, start: pack.filled[row]! })
    pack.filled[row]! += lengthOf(experience)
    for (const image of experience.images) pack.images.add(image)
  }
  return packs.map(({ placed, images }) => ({ placed, images: [...images] }))
}
