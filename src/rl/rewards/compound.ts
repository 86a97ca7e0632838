/**
 * Rewards that are put together from others, and what is common to them: their parts by name, the columns that they read
 * together, and how their weights are found again.
 *
 * @since 0.1.0
 */
import { kindOf } from '../../settings/index.ts'
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
const structure: unique symbol = Symbol('sailwright.reward.structure')

/** What a compound reward is made of, and how another is made of other parts and weights. */
interface Structure {
  readonly rewards: Rewards
  /** Default: it has none of its own. */
  readonly weights?: WeightsByName
  /** It changes one reward, whose name is no part of a weight's path. */
  readonly wraps?: true
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

/** Where a reward keeps how it finds out, before any completion is there, that it can judge none. */
export const readiness: unique symbol = Symbol('sailwright.reward.readiness')

/** A reward that can be asked whether it can judge at all. */
export interface Checkable {
  /** Why it can judge nothing, with its name; undefined where it can. */
  readonly [readiness]: () => Promise<string | undefined>
}

/** Why a reward, or one that it is put together from, can judge nothing; undefined where all can. */
export const unready = async (reward: Reward<never>): Promise<string | undefined> => {
  const why = await (reward as Partial<Checkable>)[readiness]?.()
  if (why !== undefined) return why
  for (const part of Object.values(structureOf(reward)?.rewards ?? {})) {
    const of = await unready(part)
    if (of !== undefined) return of
  }
  return undefined
}

/**
 * Sees that a reward can judge at all: that a user's module has the function that is named.
 *
 * @throws RecipeError, which names where it stands, the reward and why it cannot
 */
export const ready = async (where: string, setting: string, reward: Reward<never>): Promise<void> => {
  const why = await unready(reward)
  if (why !== undefined) throw new RecipeError(where, setting, why)
}

/** At least one reward under each name. @throws RecipeError */
export const checkedRewards = <R extends Rewards>(where: string, rewards: R): R => {
  const kind = kindOf(rewards)
  if (kind !== 'a record')
    throw new RecipeError(where, 'rewards', `it is ${kind}; give a record of rewards by name`)
  const entries = Object.entries(rewards)
  if (entries.length === 0) throw new RecipeError(where, 'rewards', 'there is none; give at least one')
  for (const [name, reward] of entries)
    if (typeof reward?.score !== 'function')
      throw new RecipeError(where, `rewards.${name}`, 'it is no reward; give one, such as format()')
  return rewards
}

/** A reward that asks others. These keep their time, each its own. */
export const made = <C extends Columns>(
  about: Pick<Reward, 'name' | 'config'>,
  of: Structure,
  judge: (judged: Judged<C>) => Promise<Judgement>,
): CompoundReward<C> => ({
  ...about,
  score: (judged) => () => judge(judged),
  [keepsTime]: true,
  [structure]: of,
})

/** The judgements of all of the rewards, asked at the same time. */
const judgeAll = async (rewards: Rewards, judged: Judged): Promise<JudgedParts> => {
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
  readonly combine: Combine
  readonly rebuild: (rewards: R, weights: WeightsByName) => Reward<never>
}): CompoundReward<ColumnsOfAll<R>> => {
  const { name, kind, rewards, combine, rebuild } = spec
  const weights = spec.weights === undefined ? {} : { weights: spec.weights }
  const configs = Object.fromEntries(Object.entries(rewards).map(([part, { config }]) => [part, config]))
  return made(
    { name, config: { kind, name, ...weights, rewards: configs } },
    { ...{ rewards, ...weights }, rebuild: (others, w) => rebuild(others as R, w) },
    async (judged) => combine(await judgeAll(rewards, judged)),
  )
}

/** A reward that changes the judgements of another. A change that throws or gives no judgement is `Failed`. */
export const wrapped = <C extends Columns>(
  reward: Reward<C>,
  configOf: (inner: unknown) => unknown,
  change: (judgement: Judgement, judged: Judged) => Judgement,
): CompoundReward<C> =>
  made(
    { name: reward.name, config: configOf(reward.config) },
    {
      ...{ rewards: { [reward.name]: reward }, wraps: true },
      rebuild: (rewards) => wrapped(Object.values(rewards)[0]!, configOf, change),
    },
    async (judged) => {
      const began = performance.now()
      const judgement = await judgementOf(reward, judged)
      try {
        const { given } = await boundedTogether(change, holdMs, () => change(judgement, judged))
        return asJudgement(given, performance.now() - began)
      } catch (thrown) {
        return failed(inWords(thrown), performance.now() - began)
      }
    },
  )

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
