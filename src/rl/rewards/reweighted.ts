/**
 * Other weights for a reward, by name: from a configuration or the command line.
 *
 * @since 0.1.0
 */
import { didYouMean, numberIn } from '../../terminal/index.ts'
import { RecipeError } from '../../train/index.ts'
import type { Reward } from '../reward.ts'
import type { Columns } from '../task.ts'
import { type Rewards, structureOf, type WeightsByName } from './compound.ts'

const joined = (path: string, name: string): string => (path === '' ? name : `${path}.${name}`)

/**
 * The weights of a reward and of all that it is made of, by path: `answer`, or `substance.answer` for a weight of the part
 * `substance`.
 *
 * @category algebra
 */
export const weightsOf = (reward: Reward<never>): WeightsByName => {
  const found: Record<string, number> = {}
  const walk = (at: Reward<never>, path: string): void => {
    const of = structureOf(at)
    if (of === undefined) return
    for (const [name, weight] of Object.entries(of.weights ?? {})) found[joined(path, name)] = weight
    for (const [name, inner] of Object.entries(of.rewards)) walk(inner, of.wraps ? path : joined(path, name))
  }
  walk(reward, '')
  return found
}

/** The path that a name means: the path itself, or the one that ends in it. */
const pathOf = (reward: Reward<never>, name: string, paths: readonly string[]): string => {
  const fault = (what: string): never => {
    throw new RecipeError(reward.name, `weights.${name}`, what)
  }
  if (paths.length === 0) return fault('the reward has no weights; weighted and sailRl have')
  if (paths.includes(name)) return name
  const ending = paths.filter((path) => path.endsWith(`.${name}`))
  if (ending.length > 1) return fault(`it may be ${ending.join(' or ')}; say which`)
  return (
    ending[0] ??
    fault(
      `there is no such weight, but ${paths.join(', ')}.${didYouMean(name, [...paths, ...paths.map((path) => path.split('.').at(-1)!)])}`,
    )
  )
}

/**
 * The same reward with other weights: `reweighted(reward, { answer: 0.5 })`. Those that are not named stay as they are. A
 * name is a path of {@link weightsOf}, or its end where only one path ends so.
 *
 * @throws RecipeError where a name is unknown (with the nearest) or may be several, or a weight cannot be, or has another sign
 * @category algebra
 */
export const reweighted = <C extends Columns>(reward: Reward<C>, weights: WeightsByName): Reward<C> => {
  const there = weightsOf(reward)
  const paths = Object.keys(there)
  const wanted: Record<string, number> = {}
  for (const [name, weight] of Object.entries(weights)) {
    const path = pathOf(reward, name, paths)
    const before = there[path]!
    if (weight * before < 0)
      throw new RecipeError(
        reward.name,
        `weights.${name}`,
        `it is ${weight}, and was ${before}: it would punish what the reward rewards, or the other way round; give a weight of the same sign, or write the other into the reward itself`,
      )
    wanted[path] = weight
  }
  const rebuilt = (at: Reward<never>, path: string): Reward<never> => {
    const of = structureOf(at)
    if (of === undefined) return at
    const inner: Rewards = Object.fromEntries(
      Object.entries(of.rewards).map(([name, r]) => [name, rebuilt(r, of.wraps ? path : joined(path, name))]),
    )
    const weighed = Object.fromEntries(
      Object.entries(of.weights ?? {}).map(([name, weight]) => [name, wanted[joined(path, name)] ?? weight]),
    )
    return of.rebuild(inner, weighed)
  }
  return rebuilt(reward, '') as Reward<C>
}

/**
 * Weights as they are written on a command line: `answer=0.5,format=0.1`.
 *
 * @throws RecipeError where a part is no name and number, or a name is given twice
 * @category algebra
 */
export const weightsFrom = (text: string): WeightsByName => {
  const weights = new Map<string, number>()
  for (const part of text.split(',').filter((p) => p.trim() !== '')) {
    const [name, value, ...more] = part.split('=').map((side) => side.trim())
    const weight = numberIn(value ?? '')
    if (name === undefined || name === '' || more.length > 0 || !Number.isFinite(weight))
      throw new RecipeError('weights', part.trim(), 'it is no weight; write name=number, such as answer=0.5')
    if (weights.has(name))
      throw new RecipeError('weights', part.trim(), 'its name is given twice; say it once')
    weights.set(name, weight)
  }
  return Object.fromEntries(weights)
}
