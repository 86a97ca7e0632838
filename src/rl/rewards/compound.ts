/**
 * Rewards that are put together from others, and what is common to them: their parts by name, the columns that they read
 * together, and how their weights are found again.
 *
 * @since 0.1.0
 */
import { RecipeError } from '../../train/index.ts'
import type { Judged, Judgement, Reward } from '../reward.ts'
import type { Columns } from '../task.ts'
import { boundedTogether, holdMs, keepsTime } from './bounded.ts'
import { asJudgement, failed, inWords, type JudgedParts, judgementOf } from './judgement.ts'

/** Rewards by name. */
export type Rewards = Readonly<Record<string, Reward<never>>>

/** The columns that a reward reads. */
export type ColumnsOf<R> = R extends Reward<infer C> ? C : never

/** The columns that rewards read together. */
export type ColumnsOfAll<R extends object> = [keyof R] extends [never]
  ? Columns
  : {
        readonly [K in keyof R]: NonNullable<R[K]> extends Reward<infer C> ? (columns: C) => void : never
      }[keyof R] extends (columns: infer All) => void
    ? All extends Columns
      ? All
      : never
    : never

/** Weights by name. */
export type WeightsByName = Readonly<Record<string, number>>

/** Where a compound reward keeps what it is made of. */
export const structure: unique symbol = Symbol('sailwright.reward.structure')

/** What a compound reward is made of, and how another is made of other parts and weights. */
export interface Structure {
  readonly rewards: Rewards
  /** Whether the parts' names are part of a weight's path; those of a wrapper around one reward are not. */
  readonly named: boolean
  readonly weights: WeightsByName
  readonly rebuild: (rewards: Rewards, weights: WeightsByName) => Reward<never>
}

/** A reward that is put together from others. */
export interface CompoundReward<in C extends Columns = Columns> extends Reward<C> {
  readonly [structure]: Structure
  readonly [keepsTime]: true
}

/** What a reward is made of, where it is compound. */
export const structureOf = (reward: Reward<never>): Structure | undefined =>
  (reward as Partial<CompoundReward<never>>)[structure]

/** At least one reward under each name. @throws RecipeError */
export const checkedRewards = <R extends Rewards>(where: string, rewards: R): R => {
  const entries = Object.entries(rewards)
  if (entries.length === 0) throw new RecipeError(where, 'rewards', 'there is none; give at least one')
  for (const [name, reward] of entries)
    if (typeof reward?.score !== 'function')
      throw new RecipeError(where, `rewards.${name}`, 'it is no reward; give one, such as format()')
  return rewards
}

/** The judgements of all of the rewards, asked at the same time. */
export const judgeAll = async (rewards: Rewards, judged: Judged): Promise<JudgedParts> => {
  const names = Object.keys(rewards)
  const judgements = await Promise.all(names.map((name) => judgementOf(rewards[name]!, judged)))
  return Object.fromEntries(names.map((name, i) => [name, judgements[i]!]))
}

/** A judgement put together from parts that are known. */
export type Combine = (parts: JudgedParts) => Judgement

/** A reward that asks all of its parts and puts their judgements together. */
export const compound = <R extends Rewards>(spec: {
  readonly name: string
  readonly kind: string
  readonly rewards: R
  readonly weights?: WeightsByName
  readonly config?: Readonly<Record<string, unknown>>
  readonly combine: Combine
  readonly rebuild: (rewards: R, weights: WeightsByName) => Reward<never>
}): CompoundReward<ColumnsOfAll<R>> => {
  const { name, kind, rewards, combine } = spec
  return {
    name,
    config: {
      kind,
      name,
      ...spec.config,
      ...(spec.weights === undefined ? {} : { weights: spec.weights }),
      rewards: Object.fromEntries(Object.entries(rewards).map(([part, { config }]) => [part, config])),
    },
    score: (judged) => async () => combine(await judgeAll(rewards, judged)),
    // its parts are asked one by one
    [keepsTime]: true,
    [structure]: {
      rewards,
      named: true,
      weights: spec.weights ?? {},
      rebuild: (others, weights) => spec.rebuild(others as R, weights),
    },
  }
}

/** A reward that changes the judgements of another. A change that throws or gives no judgement is `Failed`. */
export const wrapped = <C extends Columns>(
  reward: Reward<C>,
  configOf: (inner: unknown) => unknown,
  change: (judgement: Judgement, judged: Judged) => Judgement,
): CompoundReward<C> => ({
  name: reward.name,
  config: configOf(reward.config),
  score: (judged) => async () => {
    const began = performance.now()
    const judgement = await judgementOf(reward, judged)
    try {
      const { given } = await boundedTogether(change, holdMs, () => change(judgement, judged))
      return asJudgement(given, performance.now() - began)
    } catch (thrown) {
      return failed(inWords(thrown), performance.now() - began)
    }
  },
  [keepsTime]: true,
  [structure]: {
    rewards: { [reward.name]: reward },
    named: false,
    weights: {},
    rebuild: (rewards) => wrapped(Object.values(rewards)[0]!, configOf, change),
  },
})

/** The first part that failed, as the failure of the whole; undefined where none did. */
export const failureOf = (parts: JudgedParts, matters: (name: string) => boolean = () => true) => {
  for (const [name, part] of Object.entries(parts))
    if (part._tag === 'Failed' && matters(name)) return failed(`${name}: ${part.why}`, part.elapsedMs, parts)
  return undefined
}

/** The parts that were scored, by name. */
export const scoredParts = (parts: JudgedParts): readonly (readonly [name: string, value: number])[] =>
  Object.entries(parts).flatMap(([name, part]) =>
    part._tag === 'Scored' ? [[name, part.value] as const] : [],
  )

/** Why a compound has nothing to say: all of its parts abstained. */
export const silence = (parts: JudgedParts): string =>
  Object.entries(parts)
    .map(([name, part]) => `${name}: ${part._tag === 'Abstained' ? part.why : part._tag}`)
    .join('; ')

/** The failure of a part that is outside 0 to 1, for what reads its parts as truth values. */
export const outsideOf = (parts: JudgedParts, who: string) => {
  for (const [name, value] of scoredParts(parts))
    if (value < 0 || value > 1)
      return failed(
        `${name}: ${who} reads values from 0 to 1, and it is ${value}; use clip or scale`,
        0,
        parts,
      )
  return undefined
}
