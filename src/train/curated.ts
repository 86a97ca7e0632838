/**
 * A list of exchanges that a stage curates before its first step (SAIL-VL2 §4.2.2).
 *
 * @since 0.1.0
 */
import * as t from 'io-ts'
import {
  type Conversation,
  conversation,
  countsOf,
  curate,
  type Exchange,
  type Filter,
  type Placed,
  type Processor,
  type Source,
  SourceError,
} from '../data/index.ts'
import { onlySettings } from '../settings/index.ts'
import type { Prepared } from './prepared.ts'
import { RecipeError, valueSetting, wholeSetting } from './recipe-error.ts'

/** Settings of {@link curated}. */
export interface CuratedOptions {
  /** How many exchanges are looked at: all that the stage has. */
  readonly count: number
  /** One after the other; each sees what those before it have kept. */
  readonly filters: readonly Filter<Exchange>[]
  readonly processor: Processor
  /** What they are, in the plural, as a report says it; default `examples`. */
  readonly what?: string
}

const Kept = t.array(t.number)
const Place = t.intersection([t.type({ seen: t.number }), t.partial({ at: t.unknown })])

/** The first `count` of a source but those that were left out, laid out. */
const keptOf = (
  source: Source<Exchange>,
  { count, processor }: CuratedOptions,
  kept: ReadonlySet<number>,
): Source<Conversation> => ({
  config: source.config,
  async *open(place = { seen: 0 }): AsyncGenerator<Placed<Conversation>> {
    if (!Place.is(place))
      throw new SourceError(`curated exchanges open at { seen, at }, not at ${JSON.stringify(place)}`)
    let seen = place.seen
    if (seen >= count) return
    for await (const { example, next } of source.open(place.at)) {
      seen++
      if (kept.has(seen - 1)) yield { example: conversation(processor, example), next: { seen, at: next } }
      if (seen >= count) return
    }
  },
})

/**
 * The conversations of those exchanges that pass all filters, once; `repeated` gives them again and again. The run says how
 * many each filter left out. All exchanges are in memory while they are curated, before the first step; while the stage trains
 * the source is read again.
 *
 * @throws RecipeError where a setting is none
 * @category sources
 */
export const curated = (source: Source<Exchange>, o: CuratedOptions): Prepared<Conversation> => {
  onlySettings('curated', o, ['count', 'filters', 'processor', 'what'])
  const where = 'curated'
  valueSetting(where, 'source', source, ['open'], 'a source of exchanges')
  const count = wholeSetting(where, 'count', o.count, 1)
  const { filters, what = 'examples' } = o
  return {
    config: {
      ...{ kind: where, count, source: source.config, filters: filters.map((f) => f.config ?? f.name) },
    },
    example: keptOf(source, o, new Set(Array.from({ length: count }, (_, i) => i))),
    async *prepare({ stage }) {
      const all: Exchange[] = []
      for await (const { example } of source.open()) {
        all.push(example)
        if (all.length >= count) break
      }
      const places = new Map(all.map((e, i) => [e, i]))
      const result = curate(...filters)(all)
      if (result.kept.length === 0)
        throw new RecipeError(
          `stage '${stage}'`,
          'source',
          `none of ${all.length} ${what} is left: ${JSON.stringify(countsOf(result))}; give others, or filters that keep some`,
        )
      yield {
        ...{ type: 'curated', stage, what, of: all.length, kept: result.kept.length },
        dropped: countsOf(result),
      }
      return result.kept.map((e) => places.get(e)!)
    },
    source: (kept) => {
      if (!Kept.is(kept))
        throw new SourceError('what was kept of curated exchanges is no list of their places')
      return keptOf(source, o, new Set(kept))
    },
  }
}
