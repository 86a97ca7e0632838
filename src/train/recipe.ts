/**
 * A recipe: stages one after the other, from given weights. What one stage hands to the next is in its type.
 *
 * @since 0.1.0
 */
import type { Model } from '../models/index.ts'
import { onlySettings } from '../settings/index.ts'
import { isStored, type Start } from './recipe-start.ts'
import { folderSetting, RecipeError, textSetting, valueSetting, wholeSetting } from './setting-checks.ts'
import type { Stage } from './stage.ts'

/** Stages from weights that are `Start` to weights that are `Now`. */
export interface Recipe<Now extends string = string> {
  readonly name: string
  readonly seed: number
  /** The model that reports show; each stage's objective closes over its own. */
  readonly model: Model
  readonly start: Start
  readonly stages: readonly Stage[]
  readonly now: Now
}

/**
 * Begins a recipe.
 *
 * @param now what the starting weights are: the first stage's `from`
 * @throws RecipeError where a setting is none
 * @category constructors
 */
export const begin = <const Now extends string>(r: Omit<Recipe<Now>, 'stages'>): Recipe<Now> => {
  // another recipe may be begun anew: its stages are left out
  onlySettings('begin', r, ['name', 'seed', 'model', 'start', 'now', 'stages'])
  const where = `recipe '${textSetting('recipe', 'name', r.name)}'`
  onlySettings(where, r.start, ['config', 'weights', 'fresh'], 'start')
  wholeSetting(where, 'seed', r.seed, 0)
  textSetting(where, 'now', r.now)
  valueSetting(where, 'model', r.model, ['graph'], 'a model, such as nanoModel')
  if (typeof r.start.weights !== 'function' && !isStored(r.start.weights))
    throw new RecipeError(
      where,
      'start.weights',
      'it is no task of weights and no source of them; give fromScratch, or weights such as openCheckpoint(folder), not called and not awaited',
    )
  if (r.start.config === undefined)
    throw new RecipeError(
      where,
      'start.config',
      'it is undefined; say as plain JSON data which weights they are',
    )
  if (r.start.fresh !== undefined)
    valueSetting(
      where,
      'start.fresh',
      r.start.fresh,
      ['has'],
      "a part of the model, or keys('head', 'head.**')",
    )
  return { ...r, stages: [] }
}

/**
 * Appends a stage, data-last for `pipe`. A stage whose `from` is not what the recipe has arrived at does not compile, and
 * is refused where a file runs without having been type-checked.
 *
 * @throws RecipeError where it is no stage, or begins from other weights
 * @category constructors
 */
export const next =
  <From extends string, const To extends string>(stage: Stage<From, To>) =>
  (r: Recipe<From>): Recipe<To> => {
    const where = `recipe '${r.name}'`
    const setting = `stages[${r.stages.length}]`
    valueSetting(where, setting, stage, ['program', 'preflight', 'run'], 'a stage, such as supervised({ … })')
    const of = `stage '${folderSetting(where, `${setting}.name`, stage.name)}'`
    textSetting(of, 'to', stage.to)
    wholeSetting(of, 'steps', stage.steps, 1)
    if (stage.from !== r.now)
      throw new RecipeError(
        of,
        'from',
        `it begins from weights '${stage.from}', and the recipe has arrived at '${r.now}'; put the stages in the order of what they hand over`,
      )
    return { ...r, stages: [...r.stages, stage], now: stage.to }
  }
