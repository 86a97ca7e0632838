/**
 * What a run of reinforcement shows of known diseases, in words.
 *
 * @since 0.1.0
 */
import type { EventOf } from '../run/index.ts'

/** The diseases that are looked for. */
export type AdvisoryKind = 'no-signal' | 'few-groups' | 'format' | 'lengths' | 'entropy' | 'verifiers'

/** A disease that shows, and what to look at. */
export interface Advisory {
  readonly kind: AdvisoryKind
  readonly message: string
}

/** The latest events of a stage, the oldest first. */
export interface Recent {
  /** Groups that an episode is to have. */
  readonly groups: number
  readonly episodes: readonly EventOf<'episode'>[]
  readonly steps: readonly EventOf<'rl-step'>[]
}

const percent = (x: number): string => `${Number((100 * x).toPrecision(2))} %`
const total = (all: readonly EventOf<'episode'>[], of: (e: EventOf<'episode'>) => number): number =>
  all.reduce((n, e) => n + of(e), 0)

/** No group of the last episodes teaches, and where there are rewards they do not differ: nothing is learnt. */
const noSignal = ({ episodes }: Recent): string | undefined => {
  const last = episodes.slice(-2)
  const groups = total(last, (e) => e.kept + e.discarded)
  const flat = total(last, (e) => e.degenerate)
  if (last.length < 2 || total(last, (e) => e.kept) > 0 || flat === 0) return undefined
  const judged = last.filter((e) => e.rewards.count > 0)
  const mean = total(judged, (e) => e.rewards.mean * e.rewards.count) / total(judged, (e) => e.rewards.count)
  const alike = `have one reward throughout (mean ${Number(mean.toPrecision(3))})`
  const which =
    flat === groups
      ? `all ${groups} groups of the last ${last.length} episodes ${alike}`
      : `of the ${groups} groups of the last ${last.length} episodes ${flat} ${alike} and ${groups - flat} have fewer than two completions with a reward`
  return `${which}, so that nothing is learnt; ${mean > 0.5 ? 'the tasks are too easy: take harder ones' : 'the tasks are too hard, or the reward never finds what it looks for: read some rollouts and the evidence of their rewards'}, or raise group or temperature`
}

/** Episodes lack groups, although tasks were asked again and again. */
const fewGroups = ({ episodes, groups }: Recent): string | undefined => {
  const last = episodes.at(-1)
  return last === undefined || last.kept === 0 || last.kept >= groups / 2
    ? undefined
    : `episode ${last.episode} has ${last.kept} groups of ${groups} to learn from: ${last.degenerate} others had one reward throughout (mean reward ${Number(last.rewards.mean.toPrecision(3))}); updates are smaller, or fewer; raise episode.rounds or group, or take tasks that are neither too easy nor too hard`
}

/** A part of the reward that is named format was never given. */
const noFormat = ({ episodes }: Recent): string | undefined => {
  const last = episodes.slice(-3)
  if (last.length < 3) return undefined
  const names = Object.keys(last[0]!.components).filter((n) => /(^|\.)format$/.test(n))
  const zero = names.find((n) => last.every((e) => e.components[n]?.mean === 0))
  return zero === undefined
    ? undefined
    : `the reward '${zero}' was 0 for each of ${total(last, (e) => e.completions)} completions of the last ${last.length} episodes: the policy does not know the format; read some rollouts, see that maxNewTokens leaves room for it, and teach it first by a supervised stage`
}

/** Answers have become much shorter than they were. */
const collapsing = ({ episodes }: Recent): string | undefined => {
  if (episodes.length < 6) return undefined
  const mean = (some: readonly EventOf<'episode'>[]): number =>
    total(some, (e) => e.lengths.mean) / some.length
  const [first, last] = [mean(episodes.slice(0, 3)), mean(episodes.slice(-3))]
  return first < 8 || last > first / 3
    ? undefined
    : `answers have ${last.toFixed(1)} tokens on average, ${first.toFixed(1)} some episodes ago: they collapse; look whether short answers get the reward without the work, and whether the loss favours them (its mean over completions does, dapo's over tokens does not)`
}

/** The policy always draws the same. */
const certain = ({ steps }: Recent): string | undefined => {
  const last = steps.slice(-5).map((s) => s.metrics.entropy ?? Number.NaN)
  const mean = last.reduce((a, b) => a + b, 0) / last.length
  return last.length < 5 || !(mean < 0.02)
    ? undefined
    : `the entropy of the last ${last.length} updates is ${Number(mean.toPrecision(2))} nats: each task gets one answer, and groups have nothing to compare; if the reward is not yet where it should be, lower the learning rate, raise the upper clip bound or the temperature, or go back to an earlier checkpoint`
}

/** Verifiers fail too often. */
const failing = ({ episodes }: Recent): string | undefined => {
  const last = episodes.slice(-3)
  const [failed, all] = [total(last, (e) => e.failed), total(last, (e) => e.completions)]
  const why = last.findLast((e) => e.failure !== undefined)?.failure
  return all === 0 || failed / all <= 0.05
    ? undefined
    : `${failed} of ${all} completions of the last ${last.length === 1 ? 'episode' : `${last.length} episodes`} (${percent(failed / all)}) have no reward because a verifier failed${why === undefined ? '' : ` (most often: ${why})`}; read why in their judgements: a time limit that is too short, a judge that does not answer, a column that is not what the reward expects`
}

const all: readonly (readonly [AdvisoryKind, (recent: Recent) => string | undefined])[] = [
  ['no-signal', noSignal],
  ['verifiers', failing],
  ['few-groups', fewGroups],
  ['format', noFormat],
  ['lengths', collapsing],
  ['entropy', certain],
]

/** The diseases that the latest events show: that nothing is alive comes first. */
export const advisories = (recent: Recent): readonly Advisory[] =>
  all.flatMap(([kind, of]) => {
    const message = of(recent)
    return message === undefined ? [] : [{ kind, message }]
  })
