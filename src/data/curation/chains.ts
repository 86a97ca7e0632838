/**
 * The filters of chains of thought (SAIL-VL2 §4.1.3, §4.2.2: deduplication on image and question, format, redundancy, length
 * balance). The paper gives no thresholds; those here are settings.
 *
 * @since 0.1.0
 */
import { hash32, random, type Seed } from '../../random/index.ts'
import { onlySettings } from '../../settings/index.ts'
import { type BoxedText, boxesIn } from '../../text/index.ts'
import type { Exchange } from '../conversation.ts'
import type { RgbImage } from '../image.ts'
import type { Filter } from './curated.ts'

const imageKey = ({ width, height, data }: RgbImage): string => {
  // two hashes of 32 bits: a chance of a collision of 1 in 10⁸ at half a million images
  const latin1 = Buffer.from(data.buffer, data.byteOffset, data.length).toString('latin1')
  return `${width}x${height}:${hash32(latin1, 1)}:${hash32(latin1, 2)}`
}

/**
 * Drops an example whose images and request an earlier one has.
 *
 * @category curation
 */
export const unique: Filter<Exchange> = {
  name: 'unique',
  reasons: (examples) => {
    const first = new Map<string, string>()
    return examples.map(({ id, request, images = [] }) => {
      const key = JSON.stringify([request.trim(), ...images.map(imageKey)])
      const before = first.get(key)
      if (before === undefined) first.set(key, id)
      return before === undefined ? undefined : `it asks what ${before} asks`
    })
  },
}

/**
 * Drops an example that has no thought, whose thought holds a box, or whose answer does not hold one box with something in
 * it.
 *
 * @category curation
 */
export const boxed: Filter<Exchange> = {
  name: 'boxed',
  reasons: (examples) =>
    examples.map(({ thought, answer }) => {
      if (thought === undefined || thought.trim() === '') return 'it has no thought'
      if (boxesIn(thought).length > 0) return 'its thought has a box'
      const boxes = boxesIn(answer)
      if (boxes.length !== 1) return `its answer has ${boxes.length} boxes`
      const [{ closed, from, to }] = boxes as [BoxedText]
      if (!closed) return 'its box is not closed'
      return answer.slice(from, to).trim() === '' ? 'its box is empty' : undefined
    }),
}

const words = (text: string): readonly string[] =>
  text.toLowerCase().match(/[\p{L}\p{N}]+|[^\s\p{L}\p{N}]/gu) ?? []

/**
 * How much of a thought is in the answer already: the share of its words that the answer has too, as often. 0 to 1.
 */
export const overlap = (thought: string, answer: string): number => {
  const left = new Map<string, number>()
  for (const w of words(answer)) left.set(w, (left.get(w) ?? 0) + 1)
  const all = words(thought)
  let shared = 0
  for (const w of all) {
    const n = left.get(w) ?? 0
    if (n > 0) {
      shared++
      left.set(w, n - 1)
    }
  }
  return all.length === 0 ? 1 : shared / all.length
}

/**
 * Drops an example whose thought only says its answer again.
 *
 * @param most the largest {@link overlap} that is kept; default 0.8
 * @category curation
 */
export const notRedundant = (most = 0.8): Filter<Exchange> => ({
  name: 'notRedundant',
  config: { kind: 'notRedundant', most },
  reasons: (examples) =>
    examples.map(({ thought = '', answer }) => {
      const share = overlap(thought, answer)
      return share > most ? `${Math.round(100 * share)} % of its thought is its answer` : undefined
    }),
})

/** Settings of {@link lengthBalanced}. */
export interface LengthBalance {
  /** The length of an example's thought, such as its tokens. */
  readonly lengthOf: (example: Exchange) => number
  /** The width of a bin of lengths. */
  readonly bin: number
  /** The largest bin that is kept is so many times the mean of the bins that have any; default 1.5. */
  readonly most?: number
  /** Default 0. */
  readonly seed?: Seed
}

/**
 * Drops examples of lengths that there are too many of, so that no length rules: from a bin that is larger than allowed, as
 * many as it takes, drawn by seed and id.
 *
 * @throws RangeError where bin or `most` is not above 0, or a length is no number from 0
 * @category curation
 */
export const lengthBalanced = (options: LengthBalance): Filter<Exchange> => {
  const {
    lengthOf,
    bin,
    most = 1.5,
    seed = 0,
  } = onlySettings('lengthBalanced', options, ['lengthOf', 'bin', 'most', 'seed'])
  for (const [name, n] of Object.entries({ bin, most }))
    if (!(n > 0 && Number.isFinite(n)))
      throw new RangeError(`lengthBalanced, ${name}: it is ${n}; give a number above 0`)
  return {
    name: 'lengthBalanced',
    config: { kind: 'lengthBalanced', bin, most, seed },
    reasons: (examples) => {
      const bins = new Map<number, number[]>()
      examples.forEach((e, i) => {
        const length = lengthOf(e)
        if (!(length >= 0 && Number.isFinite(length)))
          throw new RangeError(`lengthBalanced, lengthOf: ${e.id} has length ${length}; give a number from 0`)
        const at = Math.floor(length / bin)
        const members = bins.get(at)
        if (members === undefined) bins.set(at, [i])
        else members.push(i)
      })
      const limit = Math.max(1, Math.floor((most * examples.length) / Math.max(1, bins.size)))
      const why = new Array<string | undefined>(examples.length).fill(undefined)
      for (const [at, members] of bins) {
        if (members.length <= limit) continue
        const drawn = members
          .map((i) => ({ i, rank: random(seed, 'lengthBalanced', examples[i]!.id).next() }))
          .sort((a, b) => a.rank - b.rank || a.i - b.i)
        for (const { i } of drawn.slice(limit))
          why[i] =
            `there are ${members.length} of length ${at * bin} to ${(at + 1) * bin - 1}, and ${limit} are kept`
      }
      return why
    },
  }
}
