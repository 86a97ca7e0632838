/**
 * Stream packing (SAIL-VL2 §5.1): short samples share rows, so that little of a batch is padding. A row holds several
 * segments, one after the other; a micro-batch (a pack) holds several rows, which share a budget of images.
 *
 * @since 0.2.0
 */
import * as t from 'io-ts'
import { CollateError } from './collate.ts'
import type { Conversation } from './conversation.ts'
import { type Placed, type Source, SourceError } from './source.ts'

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
  /** Images of all rows of a pack together; 0 for text alone. */
  readonly images: number
}

/** How samples are packed. */
export interface PackOptions extends PackSizes {
  /** Samples that are read ahead and among which a row chooses: more fill rows better and are further out of order. */
  readonly buffer: number
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
  constructor(setting: keyof PackOptions, value: unknown, least: number) {
    super(`packed, ${setting}: it is ${String(value)}; give a whole number from ${least}`)
    this.name = 'PackError'
    this.setting = setting
  }
}

/** The load of a conversation. */
export const loadOf = (c: Conversation): Load => ({ tokens: c.ids.length, images: c.images.length })

/**
 * Those that fill a room fullest, of equally full sets one with the fewest images: a knapsack, solved exactly in
 * (loads × tokens) steps.
 */
const fullest = (loads: readonly Load[], room: Load): readonly number[] => {
  // the fewest images that make exactly so many tokens of the loads up to now
  const images = new Float64Array(room.tokens + 1).fill(Infinity)
  images[0] = 0
  const taken = loads.map((load) => {
    const here = new Uint8Array(room.tokens + 1)
    for (let n = room.tokens; n >= load.tokens; n--) {
      const sum = images[n - load.tokens]! + load.images
      if (sum < images[n]!) {
        images[n] = sum
        here[n] = 1
      }
    }
    return here
  })
  let at = images.findLastIndex((n) => n <= room.images)
  const chosen: number[] = []
  for (let i = loads.length - 1; i >= 0; i--)
    if (taken[i]![at] === 1) {
      chosen.unshift(i)
      at -= loads[i]!.tokens
    }
  return chosen
}

/**
 * Chooses what goes into one row: first the oldest that fits, so that none waits for ever, then those that together fill
 * what is left of the row fullest, and of equally full sets one with the fewest images.
 *
 * @param waiting those that may be chosen, the oldest first
 * @param room tokens of the row, and images that the pack has left
 * @returns indices into `waiting`, in the order of the row; none where nothing fits
 * @category packing
 */
export const chooseRow = (waiting: readonly Load[], room: Load): readonly number[] => {
  const first = waiting.findIndex((w) => w.tokens <= room.tokens && w.images <= room.images)
  if (first < 0) return []
  const left = {
    tokens: room.tokens - waiting[first]!.tokens,
    images: room.images - waiting[first]!.images,
  }
  const others = [...waiting.keys()].filter((i) => i !== first)
  const chosen = fullest(
    others.map((i) => waiting[i]!),
    left,
  )
  return [first, ...chosen.map((i) => others[i]!)]
}

const Whole = t.refinement(t.number, (n) => Number.isSafeInteger(n) && n >= 0)

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
  for (const [setting, least] of [
    ['rows', 1],
    ['tokens', 2],
    ['images', 0],
    ['buffer', 1],
  ] as const)
    if (!Number.isSafeInteger(o[setting]) || o[setting] < least)
      throw new PackError(setting, o[setting], least)
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
  const { rows, tokens, images, buffer } = checked(options)
  return {
    config: { kind: 'packed', rows, tokens, images, buffer, source: source.config },
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
            const load = loadOf(sample)
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
          ...(from === undefined ? {} : { from }),
          packed: [...out].map((n) => n - since).sort((a, b) => a - b),
        }
      }
      try {
        for (;;) {
          const pack: C[][] = []
          let left = images
          while (pack.length < rows) {
            await refill()
            const chosen = chooseRow(waiting, { tokens, images: left }).map((i) => waiting[i]!)
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
