/**
 * The groups of rollouts that a report shows of a stage: a few that say much, of all that were drawn.
 *
 * @since 0.1.0
 */
import { type EventOf, rewardOf } from '../run/index.ts'

type Group = EventOf<'group'>

/** A group that is shown, and as what: `first`, `last`, `best`, `worst`, `discarded`, `failed`. */
export interface Pick {
  readonly as: readonly string[]
  readonly group: Group
}

/** What was drawn in a stage, and the groups of it that are shown. */
export interface RolloutSample {
  readonly stage: string
  readonly groups: number
  readonly completions: number
  /** How many groups were left out for each reason. */
  readonly reasons: Readonly<Record<string, number>>
  /** The lowest and the highest reward. */
  readonly range: readonly [number, number]
  readonly first: readonly Group[]
  /** The first of the last episode. */
  readonly last: readonly Group[]
  readonly best: readonly Group[]
  readonly worst: readonly Group[]
  readonly discarded: readonly Group[]
  readonly failed: readonly Group[]
}

const each = 2
const mostReasons = 4

const emptySample = (stage: string): RolloutSample => ({
  ...{ stage, groups: 0, completions: 0, reasons: {} },
  range: [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
  ...{ first: [], last: [], best: [], worst: [], discarded: [], failed: [] },
})

/** The rewards of a group's completions that have one. */
export const knownRewards = (g: Group): readonly number[] =>
  g.judgements.flatMap((j) => {
    const reward = rewardOf(j)
    return reward === undefined ? [] : [reward]
  })

/** The mean reward of a group; NaN where none of it has one. */
export const meanReward = (g: Group): number => {
  const rewards = knownRewards(g)
  return rewards.reduce((a, b) => a + b, 0) / rewards.length
}

const inserted = (some: readonly Group[], g: Group, before: (a: Group, b: Group) => boolean) => {
  const at = some.findIndex((x) => before(g, x))
  const all = at < 0 ? [...some, g] : [...some.slice(0, at), g, ...some.slice(at)]
  return all.slice(0, each)
}

const taken = (s: RolloutSample, g: Group): RolloutSample => {
  const rewards = knownRewards(g)
  const range = [Math.min(s.range[0], ...rewards), Math.max(s.range[1], ...rewards)] as const
  const counted = { ...s, groups: s.groups + 1, completions: s.completions + g.completions.length, range }
  const failed =
    s.failed.length < each && g.judgements.some((j) => j._tag === 'Failed') ? [...s.failed, g] : s.failed
  if (g.discarded !== undefined) {
    const known = s.reasons[g.discarded] ?? 0
    return {
      ...counted,
      failed,
      reasons: { ...s.reasons, [g.discarded]: known + 1 },
      discarded: known === 0 && s.discarded.length < mostReasons ? [...s.discarded, g] : s.discarded,
    }
  }
  const began = s.last[0]?.episode !== g.episode
  return {
    ...counted,
    failed,
    first: s.first.length < each ? [...s.first, g] : s.first,
    last: began ? [g] : s.last.length < each ? [...s.last, g] : s.last,
    best: inserted(s.best, g, (a, b) => meanReward(a) > meanReward(b)),
    worst: inserted(s.worst, g, (a, b) => meanReward(a) < meanReward(b)),
  }
}

/** Takes one more group, of whatever stage. */
export const withGroup = (samples: readonly RolloutSample[], g: Group): readonly RolloutSample[] =>
  samples.some((s) => s.stage === g.stage)
    ? samples.map((s) => (s.stage === g.stage ? taken(s, g) : s))
    : [...samples, taken(emptySample(g.stage), g)]

/** The groups that are shown, each once, in the order in which they were drawn. */
export const picksOf = (s: RolloutSample): readonly Pick[] => {
  const as = new Map<number, { readonly group: Group; readonly as: string[] }>()
  for (const kind of ['first', 'last', 'best', 'worst', 'discarded', 'failed'] as const)
    for (const group of s[kind]) {
      const known = as.get(group.index)
      if (known === undefined) as.set(group.index, { group, as: [kind] })
      else known.as.push(kind)
    }
  return [...as.values()].sort((a, b) => a.group.index - b.group.index)
}
