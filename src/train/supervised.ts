/**
 * A supervised stage: data × trained parameters × loss × optimizer × schedule.
 *
 * @since 0.1.0
 */
import { kindOf } from '../settings/index.ts'
import { firstBatch } from './first-batch.ts'
import { learnerPrograms } from './learner.ts'
import { learningStage } from './learning-stage.ts'
import type { MicroBatch } from './objective.ts'
import { preflightOf, previewOf, withPrepared } from './prepared.ts'
import { jsonSetting, RecipeError } from './setting-checks.ts'
import type { Stage } from './stage.ts'
import { runSupervised } from './supervised-run.ts'
import { checkedSupervised, type SupervisedSettings } from './supervised-settings.ts'
import { fitsProgram } from './update.ts'

/**
 * A stage that minimises an objective over a source's examples.
 *
 * Every setting is checked here, before any work. A loss or a gradient that is not finite ends the stage with an error that
 * names step and learning rate. However it ends, its source is closed.
 *
 * @throws RecipeError, which names stage, setting, value and what is allowed
 * @category stages
 */
export const supervised = <const From extends string, const To extends string, E>(
  s: SupervisedSettings<From, To, E>,
): Stage<From, To> => {
  const checked = checkedSupervised(s)
  const { where, config, objective, steps, accumulate, perStep, learningRate } = checked

  const collated = (examples: readonly E[]): readonly MicroBatch[] => {
    const refused = (what: string): RecipeError => new RecipeError(where, 'objective.collate', what)
    const made: MicroBatch[] = []
    // no more than a micro-batch's at a time: one of a user's own may know no other number
    for (let at = 0; at < examples.length; at += objective.batch) {
      const some = objective.collate(examples.slice(at, at + objective.batch))
      if (!Array.isArray(some)) throw refused(`it gives ${kindOf(some)}; give a list of micro-batches`)
      made.push(...some)
    }
    if (made.length === 0 || (accumulate === 1 && made.length !== 1))
      throw refused(
        `it makes ${made.length} micro-batches of ${examples.length} examples; a step takes ${accumulate === 1 ? 'one, unless accumulate is above 1' : 'at least one'}`,
      )
    return made
  }
  const placeFits = (place: unknown): void => jsonSetting(where, 'source, next', place)

  const programs = learnerPrograms({ ...checked.learner, objective, accumulate })

  return {
    ...{ ...learningStage(s, objective), config, steps },
    program: (functions) => programs(withPrepared(where, s.source, functions)),
    preflight: async (program) => {
      await preflightOf(s.source)
      const first = await firstBatch(previewOf(s.source), perStep, where)
      if (first === undefined || first.examples.length < perStep)
        throw new RecipeError(
          where,
          'source',
          `it has ${first?.examples.length ?? 0} examples and a step takes ${perStep}; give more, or take smaller batches`,
        )
      placeFits(first.next)
      fitsProgram(where, program, collated(first.examples), learningRate)
    },
    run: (c) => runSupervised({ given: s, checked, collated, placeFits }, c),
  }
}
