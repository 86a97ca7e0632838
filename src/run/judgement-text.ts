/**
 * What a reward said of a completion, in lines for people.
 *
 * @since 0.1.0
 */
import type { RecordedJudgement } from './reinforcement-events.ts'

/** A line of a judgement: `name` with the names around it, `said` the reward or what became of it, `why` what it rests on. */
export interface JudgementLine {
  readonly name: string
  readonly tag: RecordedJudgement['_tag']
  readonly said: string
  readonly why: string
}

/** `0.9`, `−1`: a reward as short as it is. */
export const rewardText = (reward: number): string => String(Number(reward.toPrecision(3)))

/** `+0.35`, `−1.20`. */
export const advantageText = (advantage: number): string =>
  `${advantage < 0 ? '−' : '+'}${Math.abs(advantage).toFixed(2)}`

const said = (value: unknown): string => (typeof value === 'string' ? `“${value}”` : JSON.stringify(value))

const why = (j: RecordedJudgement): string =>
  j._tag === 'Scored'
    ? Object.entries(j.evidence)
        .map(([key, value]) => `${key} ${said(value)}`)
        .join(', ')
    : j.why

/** The judgement and, below it, those that it was put together from: `answer`, `answer.think`. */
export const judgementLines = (j: RecordedJudgement, name = ''): readonly JudgementLine[] => [
  {
    name,
    tag: j._tag,
    said: j._tag === 'Scored' ? rewardText(j.value) : j._tag === 'Failed' ? 'failed' : 'abstained',
    why: why(j),
  },
  ...Object.entries(j.parts ?? {}).flatMap(([part, inner]) =>
    judgementLines(inner, name === '' ? part : `${name}.${part}`),
  ),
]

/** The reward of a completion; undefined where it has none. */
export const rewardOf = (j: RecordedJudgement | undefined): number | undefined =>
  j?._tag === 'Scored' && Number.isFinite(j.value) ? j.value : undefined
