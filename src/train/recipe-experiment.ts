/**
 * A recipe as an experiment.
 *
 * @since 0.1.0
 */
import { defer } from 'rxjs'
import { kindOf, onlySettings } from '../settings/index.ts'
import { type Evaluation, unmeasured } from './evaluation.ts'
import type { Experiment } from './experiment.ts'
import type { Recipe } from './recipe.ts'
import { programOf } from './recipe-preflight.ts'
import { runRecipe } from './recipe-run.ts'
import { withRewardWeights } from './reward-weights.ts'
import { configSetting, jsonSetting, RecipeError, valueSetting, wholeSetting } from './setting-checks.ts'

/** How a run is carried out; it does not change what comes out. */
export interface RunOptions {
  /**
   * Steps between checkpoints inside a stage; 0: there is one at the end of each stage alone; default:
   * what a stage says, else 200. `--checkpoint-every` goes before it.
   */
  readonly checkpointEvery?: number
}

/**
 * A recipe as an experiment: run by `sailwright run`, measured after each stage.
 *
 * Settings are checked here; graphs, starting weights and the first batch of every source before the first step. An
 * interrupted run that is started again goes on with the stage in which it stopped, from its last checkpoint there or from
 * its beginning, and ends with the weights of a run that was never interrupted, bit for bit. Weights are saved before they
 * are measured: where measuring failed, it alone is done again.
 *
 * @throws RecipeError where there is no stage, two stages have one name, an evaluation is of a stage that there is not, what determines the
 *   run is no plain data, or `checkpointEvery` is no whole number from 0
 * @category running
 */
export const experiment = (r: Recipe, evaluation: Evaluation, options: RunOptions = {}): Experiment => {
  onlySettings('experiment', options, ['checkpointEvery'])
  if (!Array.isArray(r?.stages))
    throw new RecipeError('experiment', 'recipe', `it is ${kindOf(r)}; give what begin(…) and next(…) make`)
  const where = `recipe '${r.name}'`
  if (r.stages.length === 0) throw new RecipeError(where, 'stages', 'there is none; append one with next(…)')
  valueSetting(
    where,
    'evaluation',
    evaluation,
    ['functions', 'run'],
    'an evaluation, such as exactAnswers({ … }), or unmeasured',
  )
  configSetting(where, 'evaluation', evaluation)
  if (!Array.isArray(evaluation.families))
    throw new RecipeError(
      where,
      'evaluation.families',
      `it is ${kindOf(evaluation.families)}; give a list of names`,
    )
  const names = r.stages.map((s) => s.name)
  // a file system may take A and a for one name
  const folders = names.map((n) => n.normalize('NFC').toLowerCase())
  const twice = names.find((_, i) => folders.indexOf(folders[i]!) < i)
  if (twice !== undefined)
    throw new RecipeError(
      where,
      'stages',
      `two of them are called '${twice}', up to upper and lower case; a stage's name is its checkpoint's, so give each its own`,
    )
  const stray = (evaluation.stages ?? []).find((n) => !names.includes(n))
  if (stray !== undefined)
    throw new RecipeError(
      where,
      'evaluation',
      `it is of a stage '${stray}', which there is not; the stages are ${names.join(', ') || 'none'}`,
    )
  const every = (n: number | undefined): number | undefined =>
    n === undefined ? undefined : wholeSetting(where, 'checkpointEvery', n, 0)
  every(options.checkpointEvery)
  const config = {
    start: r.start.config,
    stages: r.stages.map((s) => s.config),
    evaluation: evaluation.config,
  }
  jsonSetting(where, 'config', config)
  return {
    name: r.name,
    seed: r.seed,
    model: r.model,
    families: evaluation.families,
    recipe: config,
    stages: r.stages,
    reweighted: (weights) => experiment(withRewardWeights(r, weights), evaluation, options),
    programs: () => new Map(r.stages.map((s) => [s.name, programOf(s, unmeasured).program])),
    run: (context) =>
      defer(() =>
        runRecipe(r, evaluation, every(context.checkpointEvery ?? options.checkpointEvery), context),
      ),
  }
}
