/**
 * Completions without a reward, in words: how many, why, and the first of them.
 *
 * @since 0.1.0
 */
import type { ScoredGroup } from './group.ts'
import type { Judgement } from './reward.ts'
import { rewardsOf } from './selection.ts'

const brief = (text: string, most: number): string => {
  const line = text.replace(/\s+/g, ' ').trim()
  return line.length <= most ? line : `${line.slice(0, most - 1)}…`
}

/** Reasons, the most frequent first, with how often each was given. */
const reasons = (judgements: readonly Judgement[], tag: 'Failed' | 'Abstained') => {
  const counts = new Map<string, number>()
  for (const j of judgements) if (j._tag === tag) counts.set(j.why, (counts.get(j.why) ?? 0) + 1)
  return [...counts].sort(([, a], [, b]) => b - a)
}

/** The reason that most failed verifiers give, in one line; undefined where none failed. */
export const commonFailure = (judgements: readonly Judgement[]): string | undefined => {
  const [most] = reasons(judgements, 'Failed')
  return most === undefined ? undefined : brief(most[0], 300)
}

/** Whether a group has a completion with a reward. */
export const hasReward = (g: Pick<ScoredGroup, 'judgements'>): boolean =>
  rewardsOf(g.judgements).some((r) => r !== undefined)

/** `12 of 16 failed (9 with "no answer"), 4 abstained ("no box"); the first is … of task …, "1 + 1?", answered "2"`. */
export const unjudged = (groups: readonly ScoredGroup[]): string => {
  const judgements = groups.flatMap((g) => g.judgements)
  const told = (['Failed', 'Abstained'] as const).flatMap((tag) => {
    const all = reasons(judgements, tag)
    const count = all.reduce((n, [, times]) => n + times, 0)
    if (count === 0) return []
    const [why, times] = all[0]!
    const often = times === count ? 'each time' : `${times} times`
    return [`${count} of ${judgements.length} ${tag.toLowerCase()} (${often}: ${brief(why, 300)})`]
  })
  const first = groups.find((g) => g.judgements.some((j) => j._tag !== 'Scored'))
  if (first === undefined) return told.join(' and ')
  const at = first.judgements.findIndex((j) => j._tag !== 'Scored')
  const { text = '', sample = at } = first.completions[at] ?? {}
  return `${told.join(' and ')}; the first is completion ${sample} of task ${first.task.id}, ${JSON.stringify(brief(first.task.question, 80))}, answered ${JSON.stringify(brief(text, 80))}`
}
