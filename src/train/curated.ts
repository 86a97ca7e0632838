/**
 * A list of exchanges that a stage curates before its first step (SAIL-VL2 §4.2.2).
 *
 * @since 0.1.0
 */
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
import { chosen, Places } from './chosen.ts'
import type { Prepared } from './prepared.ts'
import { RecipeError, valueSetting, wholeSetting } from './setting-checks.ts'

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

/** The exchanges of a source at some places, laid out. */
const laidOut = (
  source: Source<Exchange>,
  processor: Processor,
  places: Iterable<number>,
): Source<Conversation> => {
  const some = chosen(source, places, 'curated exchanges')
  return {
    config: source.config,
    async *open(from): AsyncGenerator<Placed<Conversation>> {
      for await (const { example, next } of some.open(from))
        yield { example: conversation(processor, example), next }
    },
  }
}

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
  const { filters, processor, what = 'examples' } = o
  return {
    config: {
      ...{ kind: where, count, source: source.config, filters: filters.map((f) => f.config ?? f.name) },
    },
    example: laidOut(source, processor, Array(count).keys()),
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
      if (!Places.is(kept))
        throw new SourceError('what was kept of curated exchanges is no list of their places')
      return laidOut(source, processor, kept)
    },
  }
}
