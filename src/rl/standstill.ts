/**
 * When a stage of reinforcement ends because nothing comes of going on.
 *
 * @since 0.1.0
 */
import type { EventOf } from '../run/index.ts'
import type { ScoredGroup } from './group.ts'
import { unjudged } from './unjudged.ts'

/** Episodes without one reward after which a stage ends: more would fail as these did. */
const silent = 2

/** What a stage has come to. */
export interface Progress {
  /** This start's episodes, the latest last. */
  readonly episodes: readonly EventOf<'episode'>[]
  /** Groups of the latest. */
  readonly groups: readonly ScoredGroup[]
  /** Episodes without an update that a stage bears; 0: any number. */
  readonly patience: number
  /** Whether the stage has learnt from anything yet, and no episode is left. */
  readonly isLast: boolean
  readonly hasLearnt: boolean
}

const trailing = <A>(all: readonly A[], is: (a: A) => boolean): number =>
  all.length - 1 - all.findLastIndex((a) => !is(a))

const inRow = (n: number): string => (n === 1 ? 'the only episode' : `${n} episodes in a row`)

/** Whether an episode has no reward at all: each verifier failed, or said nothing. */
export const isUnjudged = (e: EventOf<'episode'>): boolean => e.rewards.count === 0

/**
 * Why a stage must not go on, what was found, and what to do; undefined where it may.
 *
 * Two episodes without one reward end it (one, where it has no other), and `patience` episodes without a group to learn from.
 */
export const standstill = (p: Progress): string | undefined => {
  const { episodes, groups, patience, isLast, hasLearnt } = p
  const mute = trailing(episodes, isUnjudged)
  const nothing = isLast && !hasLearnt && mute === episodes.length
  if (mute > 0 && (nothing || (patience > 0 && mute >= Math.min(silent, patience))))
    return `no completion of ${inRow(mute)} has a reward, so that nothing can be learnt: of the last, ${unjudged(groups)}. Mend the reward (or what it asks, such as a judge's server) and start the run again in its folder: it goes on before these episodes, and asks the reward anew`
  const still = trailing(episodes, (e) => e.kept === 0)
  if (patience === 0 || still < patience) return undefined
  const last = episodes.slice(-still)
  const known = last.filter((e) => !isUnjudged(e)).map((e) => e.rewards.mean)
  const [least, most] = [Math.min(...known), Math.max(...known)].map((x) => Number(x.toPrecision(3)))
  const tasks = last.reduce((n, e) => n + e.kept + e.discarded, 0)
  return `${inRow(still)} gave no group to learn from: in none of ${tasks} groups do rewards differ (mean reward ${least === most ? least : `${least} to ${most}`}). Read some rollouts and the evidence of their rewards, then take tasks that are neither too hard nor too easy, a larger group or a higher temperature; patience, ${patience} now, says how many such episodes a stage bears`
}
