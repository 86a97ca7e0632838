/**
 * Other weights for the rewards of a recipe's stages, by name.
 *
 * @since 0.1.0
 */
import { didYouMean } from '../terminal/index.ts'
import { RecipeError } from './setting-checks.ts'
import type { Stage } from './stage.ts'

type Weights = Readonly<Record<string, number>>

/** Whether a name is one of a reward's weights: its path, or the end of one. */
const isOf = (name: string, weights: Weights): boolean =>
  Object.keys(weights).some((path) => path === name || path.endsWith(`.${name}`))

/** The weights that there are, by stage, in words. */
const thereAre = (stages: readonly Stage[]): string =>
  stages
    .flatMap((s) => {
      const all = Object.entries(s.reward?.weights ?? {})
      return all.length === 0 ? [] : [`${s.name} has ${all.map(([n, w]) => `${n} (${w})`).join(', ')}`]
    })
    .join('; ')

/**
 * A recipe whose stages' rewards have other weights. A name is of every stage whose reward has it; `stage/name` is of that stage
 * alone, and goes before a name without a stage.
 *
 * @throws RecipeError where no stage has it, with what there is, or a weight cannot be
 */
export const withRewardWeights = <R extends { readonly name: string; readonly stages: readonly Stage[] }>(
  r: R,
  weights: Weights,
): R => {
  const where = `recipe '${r.name}'`
  const names = Object.keys(weights)
  if (names.length === 0) return r
  const there = thereAre(r.stages)
  if (there === '')
    throw new RecipeError(
      where,
      `reward ${names[0]}`,
      'no stage has a reward with weights, as weighted and sailRl have',
    )
  const meant = names.map((given) => {
    const stage = r.stages.find((s) => given.startsWith(`${s.name}/`))
    const name = stage === undefined ? given : given.slice(stage.name.length + 1)
    const of = (stage === undefined ? r.stages : [stage]).filter((s) => isOf(name, s.reward?.weights ?? {}))
    if (of.length > 0) return { name, of, isOne: stage !== undefined, weight: weights[given]! }
    const known = r.stages.flatMap((s) =>
      Object.keys(s.reward?.weights ?? {}).flatMap((path) => [
        path,
        path.split('.').at(-1)!,
        `${s.name}/${path}`,
      ]),
    )
    throw new RecipeError(
      where,
      `reward ${given}`,
      `there is no such weight: ${there}.${didYouMean(given, known)}`,
    )
  })
  // what names its stage comes last, and counts
  const ordered = [...meant].sort((a, b) => Number(a.isOne) - Number(b.isOne))
  return {
    ...r,
    stages: r.stages.map((s) => {
      const own = Object.fromEntries(
        ordered.flatMap((m) => (m.of.includes(s) ? [[m.name, m.weight] as const] : [])),
      )
      return Object.keys(own).length === 0 ? s : s.reward!.reweighted(own)
    }),
  }
}
