/**
 * How experiences share the rows of micro-batches: the completions of a prompt stand behind one copy of it.
 *
 * @since 0.1.0
 */
import { CollateError, type Processor, type RgbImage, tilesOf } from '../data/index.ts'
import { onlySettings } from '../settings/index.ts'
import type { Experience } from './experience.ts'

/** Sizes of a micro-batch of experiences. */
export interface ExperienceSizes {
  /** Rows of tokens that the model reads. */
  readonly rows: number
  /**
   * Tokens a row: at least the longest prompt and answer together. A row that holds a prompt and all the answers to it lets
   * the prompt be read once.
   */
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

/** A copy of a prompt in a row; every completion that stands behind it reads it. */
export interface PlacedPrompt {
  /** Of one of its completions; errors name it. */
  readonly id: string
  readonly promptIds: readonly number[]
  readonly images: readonly RgbImage[]
  readonly row: number
  /** Its first token's place in the row. */
  readonly start: number
}

/** An experience, and where it stands: in the row of its prompt, behind it. */
export interface PlacedExperience<out E> {
  readonly experience: E
  readonly prompt: PlacedPrompt
  /** The place in the row of the first token that was drawn. */
  readonly start: number
}

/** The experiences of one micro-batch, the prompts that they go on from, and their images, each once. */
export interface ExperiencePack<out E> {
  readonly placed: readonly PlacedExperience<E>[]
  /** In the order in which they were placed. */
  readonly prompts: readonly PlacedPrompt[]
  readonly images: readonly RgbImage[]
}

/** What is packed of an experience. */
type Packed = Pick<Experience, 'id' | 'promptIds' | 'ids' | 'images'>

/** A pack that is being filled: tokens of each row that are taken. */
interface Filling<E> {
  readonly placed: PlacedExperience<E>[]
  readonly prompts: PlacedPrompt[]
  readonly images: Set<RgbImage>
  readonly filled: number[]
}

/** A row, and how many of the completions that wait fit behind a copy of their prompt in it. */
interface Room<E> {
  readonly pack: Filling<E>
  readonly row: number
  readonly fits: number
}

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

/** Those that have one prompt, images too: the longest answers first. */
const byPrompt = <E extends Packed>(experiences: readonly E[]): readonly (readonly E[])[] => {
  const numbers = new Map<RgbImage, number>()
  const numberOf = (image: RgbImage): number => {
    if (!numbers.has(image)) numbers.set(image, numbers.size)
    return numbers.get(image)!
  }
  const groups = new Map<string, E[]>()
  for (const e of experiences) {
    const key = `${e.promptIds.join()};${e.images.map(numberOf).join()}`
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [e])
    else group.push(e)
  }
  return [...groups.values()].map((group) => group.toSorted((a, b) => b.ids.length - a.ids.length))
}

const tokensOf = (prompt: number, answers: readonly Packed[]): number =>
  answers.reduce((n, e) => n + e.ids.length, prompt)

/**
 * Experiences as micro-batches: behind each copy of a prompt stand as many of its completions as the row holds, the prompts
 * with most to place first, each in the first row that takes all that is left of it, else in the one that takes most of it.
 * Nothing is cut and nothing is left out; the same experiences give the same packs.
 *
 * @param processor says how many tiles of a batch an image is; default: one
 * @throws CollateError `TooLong`, `TooMany`, `NothingToLearn` where one fits no micro-batch
 */
export const packExperiences = <E extends Packed>(
  experiences: readonly E[],
  sizes: ExperienceSizes,
  processor?: Processor,
): readonly ExperiencePack<E>[] => {
  onlySettings('packExperiences', sizes, ['rows', 'tokens', 'images', 'completions', 'answer'])
  const taken: Taken = (images) => {
    const each = new Set(images)
    return processor === undefined ? each.size : tilesOf(processor, [...each])
  }
  for (const e of experiences) checked(e, sizes, taken)
  const packs: Filling<E>[] = []
  /** How many of them, in their order, fit a row. */
  const fitting = (pack: Filling<E>, row: number, left: readonly E[]): number => {
    const { promptIds } = left[0]!
    const most = Math.min(left.length, sizes.completions - pack.placed.length)
    let [fits, end] = [0, pack.filled[row]! + promptIds.length]
    while (fits < most && end + left[fits]!.ids.length <= sizes.tokens) end += left[fits++]!.ids.length
    return fits
  }
  const roomFor = (left: readonly E[]): Room<E> => {
    const { images } = left[0]!
    let best: Room<E> | undefined
    for (const pack of packs) {
      if (pack.placed.length >= sizes.completions) continue
      if (taken([...pack.images, ...images]) > sizes.images) continue
      for (const row of pack.filled.keys()) {
        const fits = fitting(pack, row, left)
        if (fits > (best?.fits ?? 0)) best = { pack, row, fits }
        if (fits === left.length) return best!
      }
    }
    if (best !== undefined) return best
    const pack: Filling<E> = {
      ...{ placed: [], prompts: [], images: new Set<RgbImage>() },
      filled: Array<number>(sizes.rows).fill(0),
    }
    packs.push(pack)
    return { pack, row: 0, fits: fitting(pack, 0, left) }
  }
  const groups = byPrompt(experiences).map((group) => ({
    group,
    tokens: tokensOf(group[0]!.promptIds.length, group),
  }))
  for (const { group } of groups.toSorted((a, b) => b.tokens - a.tokens)) {
    const { id, promptIds, images } = group[0]!
    for (let left = group; left.length > 0; ) {
      const { pack, row, fits } = roomFor(left)
      const prompt: PlacedPrompt = { id, promptIds, images, row, start: pack.filled[row]! }
      pack.prompts.push(prompt)
      let start = prompt.start + promptIds.length
      for (const experience of left.slice(0, fits)) {
        pack.placed.push({ experience, prompt, start })
        start += experience.ids.length
      }
      pack.filled[row] = start
      for (const image of images) pack.images.add(image)
      left = left.slice(fits)
    }
  }
  return packs.map(({ placed, prompts, images }) => ({ placed, prompts, images: [...images] }))
}
