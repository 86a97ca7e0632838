/**
 * Settings of operators, checked where an operator is made: one that is misspelt would do nothing and say nothing.
 *
 * @since 0.1.0
 */
import { kindOf, onlySettings } from '../settings/index.ts'
import { numberSetting, RecipeError } from '../train/index.ts'
import type { AdvantageSettings } from './advantages.ts'

/** One of some words. @throws RecipeError */
export const wordSetting = (where: string, setting: string, x: unknown, words: readonly string[]): void => {
  if (x !== undefined && !words.includes(x as string))
    throw new RecipeError(
      where,
      setting,
      `it is ${kindOf(x)}; give ${words.map((w) => `'${w}'`).join(' or ')}`,
    )
}

/** How rewards become advantages; `inside` stands before the names of settings. @throws RecipeError */
export const checkedAdvantages = (where: string, a: AdvantageSettings, inside = ''): AdvantageSettings => {
  const of: string = inside === '' ? where : `${where}, ${inside}`
  onlySettings(of, a, ['scale', 'epsilon', 'families', 'steps'])
  const name = (setting: string): string => (inside === '' ? setting : `${inside}.${setting}`)
  wordSetting(where, name('scale'), a.scale, ['std', 'none'])
  if (a.epsilon !== undefined) numberSetting(where, name('epsilon'), a.epsilon)
  if (a.steps !== undefined) numberSetting(where, name('steps'), a.steps)
  for (const [family, weight] of Object.entries(a.families ?? {}))
    numberSetting(where, name(`families.${family}`), weight)
  return a
}
