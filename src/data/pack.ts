/**
 * Stream packing (SAIL-VL2 §5.1): short samples share rows, so that little of a batch is padding. A row holds several
 * segments, one after the other; a micro-batch (a pack) holds several rows, which share a budget of images.
 *
 * @since 0.1.0
 */
import * as t from 'io-ts'
import { onlySettings } from '../settings/index.ts'
import { present } from '../settings/internal.ts'
import { tilesOf } from './collate.ts'
import { CollateError } from './collate-error.ts'
import type { Conversation } from './conversation.ts'
import { givenSource } from './given.ts'
import type { Processor } from './processor.ts'
import { type Placed, type Source, SourceError } from './source.ts'
import { Whole } from './whole-number.ts'

/** What a sample takes of a row and of a pack. */
export interface Load {
  /** Tokens, those of images included. */
  readonly tokens: number
  readonly images: number
}

/** Sizes of a pack. */
export interface PackSizes {
  /** Rows of a pack. */
  readonly rows: number
  /** Tokens a row; a longer sample is an error. */
  readonly tokens: number
  /** Images of all rows of a pack together, tiles or squares counted one by one; 0 for text alone. */
  readonly images: number
}

/** How samples are packed. */
export interface PackOptions extends PackSizes {
  /** Samples that are read ahead and among which a row chooses: more fill rows better and are further out of order. */
  readonly buffer: number
  /**
   * Visual packing: where several packs share a step, on devices or one after the other, each row gets as many images as
   * the samples that wait have in as many tokens, so that no pack has many more than another. It says which share of a
   * row's tokens, of 1, may stay empty for that, such as 0.05. Default: rows are as full as they can be, whatever their
   * images (data packing).
   */
  readonly visualSlack?: number
  /**
   * What laid the conversations out, where the model reads images of any size: it says how many squares an image is. Default: an
   * image is one.
   */
  readonly processor?: Processor
}

/** The samples of one micro-batch: rows of segments, in their order. Rows are never empty. */
export interface Pack<out C extends Conversation = Conversation> {
  readonly rows: readonly (readonly C[])[]
}

/** An option that cannot be. */
export class PackError extends Error {
  readonly tag = 'BadSetting'
  /** Which one. */
  readonly setting: keyof PackOptions
  constructor(setting: keyof PackOptions, value: unknown, wanted: string) {
    super(`packed, ${setting}: it is ${String(value)}; give ${wanted}`)
    this.name = 'PackError'
    this.setting = setting
  }
}

/** The load of a conversation; its images are one each where no processor says how many squares they are. */
export const loadOf = (c: Conversation, processor?: Processor): Load => ({
  tokens: c.ids.length,
  images: processor === undefined ? c.images.length : tilesOf(processor, c.images),
})

/** Images that are to be equal in all rows. */
export interface EvenImages {
  /** Images of a row, where all rows hold equally many; it need not be whole. */
  readonly images: number
  /** Share of the tokens that could be filled, of 1, which may stay empty for it. */
  readonly slack: number
}

/**
 * Those that fill a room fullest, of equally full sets one with the fewest images; with `even` the set whose images are
 * nearest, of those that fill all but the slack. A knapsack, solved exactly in (loads × tokens × images) steps.
 */
const fullest = (loads: readonly Load[], room: Load, even?: EvenImages): readonly number[] => {
  const most = Math.min(
    room.images,
    loads.reduce((n, l) => n + l.images, 0),
  )
  const columns = most + 1
  // the load that was the last to be added when so many tokens and images were first made; −1 where they never are
  const last = new Int32Array((room.tokens + 1) * columns).fill(-1)
  const none = loads.length
  last[0] = none
  let reached = 0
  loads.forEach(({ tokens, images }, i) => {
    reached = Math.min(room.tokens, reached + tokens)
    for (let n = reached; n >= tokens; n--)
      for (let k = most; k >= images; k--) {
        const at = n * columns + k
        if (last[at] === -1 && last[at - tokens * columns - images] !== -1) last[at] = i
      }
  })
  const full = Math.floor(last.findLastIndex((i) => i !== -1) / columns)
  const least = even === undefined ? full : Math.ceil(full * (1 - even.slack))
  let [best, nearest] = [0, Number.POSITIVE_INFINITY]
  for (let n = full; n >= least; n--)
    for (let k = 0; k <= most; k++) {
      const away = even === undefined ? k : Math.abs(k - even.images)
      if (last[n * columns + k] !== -1 && away < nearest) [best, nearest] = [n * columns + k, away]
    }
  const chosen: number[] = []
  for (let i = last[best]!; i !== none; i = last[best]!) {
    chosen.unshift(i)
    best -= loads[i]!.tokens * columns + loads[i]!.images
  }
  return chosen
}

/**
 * Chooses what goes into one row: first the oldest that fits, so that none waits for ever, then those that together fill
 * what is left of the row fullest, and of equally full sets one with the fewest images (data packing). With `even` the
 * row's images come first, but for a slack (visual packing).
 *
 * @param waiting those that may be chosen, the oldest first
 * @param room tokens of the row, and images that the pack has left
 * @returns indices into `waiting`, in the order of the row; none where nothing fits
 * @category packing
 */
export const chooseRow = (waiting: readonly Load[], room: Load, even?: EvenImages): readonly number[] => {
  const first = waiting.findIndex((w) => w.tokens <= room.tokens && w.images <= room.images)
  if (first < 0) return []
  const { tokens, images } = waiting[first]!
  const others = [...waiting.keys()].filter((i) => i !== first)
  const chosen = fullest(
    others.map((i) => waiting[i]!),
    { tokens: room.tokens - tokens, images: room.images - images },
    even === undefined ? undefined : { ...even, images: even.images - images },
  )
  return [first, ...chosen.map((i) => others[i]!)]
}

/** The images of a row as long as `tokens` in which images and tokens are as in all that wait. */
const meanImages = (waiting: readonly Load[], tokens: number): number => {
  const all = waiting.reduce((n, w) => n + w.tokens, 0)
  return all === 0 ? 0 : (tokens * waiting.reduce((n, w) => n + w.images, 0)) / all
}

/**
 * Where a packed source goes on: `from` is the place of its oldest sample that waits (none at the beginning), `packed` says
 * how far behind it each of the samples stands that were packed already.
 */
const Place = t.intersection([t.type({ packed: t.readonlyArray(Whole) }), t.partial({ from: t.unknown })])
type PackPlace = t.TypeOf<typeof Place>

/** A sample that waits. */
interface Waiting<C> extends Load {
  readonly sample: C
  /** Its number since the source was opened, and the source's place before it. */
  readonly number: number
  readonly before: unknown
}

const checked = (o: PackOptions): PackOptions => {
  onlySettings('packed', o, ['rows', 'tokens', 'images', 'buffer', 'visualSlack', 'processor'])
  for (const [setting, least] of [
    ['rows', 1],
    ['tokens', 2],
    ['images', 0],
    ['buffer', 1],
  ] as const)
    if (!Number.isSafeInteger(o[setting]) || o[setting] < least)
      throw new PackError(setting, o[setting], `a whole number from ${least}`)
  const { visualSlack: slack } = o
  if (slack !== undefined && !(typeof slack === 'number' && slack >= 0 && slack < 1))
    throw new PackError('visualSlack', slack, 'a number from 0 to below 1, such as 0.05')
  return o
}

const fits = (c: Conversation, { tokens, images }: Load, o: PackOptions): void => {
  if (tokens > o.tokens)
    throw new CollateError(
      'TooLong',
      c.id,
      `sample ${c.id} has ${tokens} tokens and a row holds ${o.tokens}; raise the row's tokens or shorten the sample`,
    )
  if (images > o.images)
    throw new CollateError(
      'TooMany',
      c.id,
      `sample ${c.id} has ${images} images and a pack holds ${o.images}; raise the pack's images`,
    )
}

/**
 * A source's conversations in packs. Nothing is cut and nothing is left out: every conversation is in exactly one pack. The
 * first row of each pack begins with the oldest conversation that waits, so none waits for more than `buffer` packs, and
 * where images do not bind each is in one of the `buffer` rows that follow after it was read. The same source gives the same packs, and opened at a pack's place
 * it goes on with the next one. The last pack may have fewer rows.
 *
 * @throws PackError where an option is no whole number; while it is read: CollateError `TooLong` or `TooMany` for a
 *   conversation that fits no pack, SourceError for a place that is none
 * @category combinators
 */
export const packed = <C extends Conversation>(source: Source<C>, options: PackOptions): Source<Pack<C>> => {
  const { rows, tokens, images, buffer, visualSlack: slack, processor } = checked(options)
  givenSource('packed', 'source', source)
  return {
    config: {
      ...{ kind: 'packed', rows, tokens, images, buffer, source: source.config },
      ...present({ visualSlack: slack }),
      ...(processor === undefined ? {} : { processor: processor.config }),
    },
    async *open(begun = { packed: [] }) {
      if (!Place.is(begun))
        throw new SourceError(`a packed source opens at { from, packed }, not at ${JSON.stringify(begun)}`)
      const stream = source.open(begun.from)
      let waiting: readonly Waiting<C>[] = []
      // packed already, as numbers since `from`, of those behind the oldest that waits
      let out = new Set(begun.packed)
      let [read, next, ended] = [0, begun.from, false]
      const refill = async (): Promise<void> => {
        const added: Waiting<C>[] = []
        while (!ended && waiting.length + added.length < buffer) {
          const { value, done } = await stream.next()
          if (done) ended = true
          else {
            const { example: sample } = value
            const load = loadOf(sample, processor)
            const number = read++
            if (!out.has(number)) {
              fits(sample, load, options)
              added.push({ ...load, sample, number, before: next })
            }
            next = value.next
          }
        }
        waiting = [...waiting, ...added]
      }
      const here = (): PackPlace => {
        const oldest = waiting[0]
        const since = oldest?.number ?? read
        out = new Set([...out].filter((n) => n > since))
        const from = oldest === undefined ? next : oldest.before
        return {
          ...present({ from }),
          packed: [...out].map((n) => n - since).sort((a, b) => a - b),
        }
      }
      try {
        for (;;) {
          const pack: C[][] = []
          let left = images
          while (pack.length < rows) {
            await refill()
            const even = slack === undefined ? undefined : { images: meanImages(waiting, tokens), slack }
            const chosen = chooseRow(waiting, { tokens, images: left }, even).map((i) => waiting[i]!)
            if (chosen.length === 0) break
            pack.push(chosen.map((w) => w.sample))
            for (const w of chosen) {
              out.add(w.number)
              left -= w.images
            }
            waiting = waiting.filter((w) => !out.has(w.number))
          }
          if (pack.length === 0) return
          yield { example: { rows: pack }, next: here() } satisfies Placed<Pack<C>>
        }
      } finally {
        await stream.return?.()
      }
    },
  }
}
