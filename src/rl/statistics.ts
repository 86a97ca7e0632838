/**
 * What an episode's rollouts came to, as numbers.
 *
 * @since 0.1.0
 */
import type { EventOf } from '../run/index.ts'
import { present } from '../settings/internal.ts'
import type { RatedGroup } from './group.ts'
import type { Judgement } from './reward.ts'
import { rewardsOf } from './selection.ts'
import { commonFailure } from './unjudged.ts'

/** Mean and standard deviation (of the sample; 0 of one) of so many numbers; the mean of none is NaN. */
export interface Spread {
  readonly mean: number
  readonly std: number
  readonly count: number
}

/** Of these numbers. */
export const spreadOf = (numbers: readonly number[]): Spread => {
  const count = numbers.length
  const mean = numbers.reduce((a, b) => a + b, 0) / count
  const squares = numbers.reduce((a, x) => a + (x - mean) ** 2, 0)
  return { mean, std: count > 1 ? Math.sqrt(squares / (count - 1)) : 0, count }
}

/** Values of the judgements that rewards were put together from, by name; those of inner ones as `outer.inner`. */
const partsOf = (j: Judgement, prefix = ''): readonly (readonly [string, number])[] =>
  Object.entries(j.parts ?? {}).flatMap(([name, part]) => [
    ...(part._tag === 'Scored' ? [[`${prefix}${name}`, part.value] as const] : []),
    ...partsOf(part, `${prefix}${name}.`),
  ])

const spreads = (pairs: readonly (readonly [string, number])[]): Readonly<Record<string, Spread>> => {
  const by = new Map<string, number[]>()
  for (const [name, x] of pairs) {
    const all = by.get(name)
    if (all === undefined) by.set(name, [x])
    else all.push(x)
  }
  return Object.fromEntries([...by].sort().map(([name, all]) => [name, spreadOf(all)]))
}

/** The numbers of an episode's event that its groups determine. */
export type EpisodeStatistics = Omit<
  EventOf<'episode'>,
  'type' | 'stage' | 'episode' | 'step' | 'rolloutSeconds' | 'scoreSeconds'
>

/** Of all groups that an episode drew, those that were left out too. */
export const statisticsOf = (groups: readonly RatedGroup[]): EpisodeStatistics => {
  const completions = groups.flatMap((g) => g.completions)
  const judgements = groups.flatMap((g) => g.judgements)
  const known = (g: RatedGroup): readonly number[] => rewardsOf(g.judgements).filter((r) => r !== undefined)
  const kept = groups.filter((g) => g.selection.kept).length
  const lengths = completions.map((c) => c.ids.length)
  const count = (tag: Judgement['_tag']): number => judgements.filter((j) => j._tag === tag).length
  const failure = commonFailure(judgements)
  return {
    kept,
    discarded: groups.length - kept,
    degenerate: groups.filter((g) => !g.selection.kept && known(g).length > 1).length,
    completions: completions.length,
    rewards: spreadOf(groups.flatMap(known)),
    components: spreads(judgements.flatMap((j) => partsOf(j))),
    families: spreads(groups.flatMap((g) => known(g).map((r) => [g.task.family, r] as const))),
    lengths: { ...spreadOf(lengths), most: lengths.reduce((a, b) => Math.max(a, b), 0) },
    truncated: completions.filter((c) => c.stop === 'length').length / completions.length,
    failed: count('Failed'),
    ...present({ failure }),
    abstained: count('Abstained'),
  }
}
