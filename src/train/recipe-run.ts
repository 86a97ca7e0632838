/** A recipe's run: its stages one after the other, from where an earlier start has come to. */
import type { RunEvent } from '../run/index.ts'
import { type EarlierStart, earlierStart } from './earlier-start.ts'
import type { Evaluation } from './evaluation.ts'
import { defaultCheckpointEvery, type RunContext } from './experiment.ts'

import type { Recipe } from './recipe.ts'
import { preflight, programOf, someFit } from './recipe-preflight.ts'
import { startingWeights } from './recipe-start.ts'
import { ofStage, RecipeError } from './setting-checks.ts'
import type { StageProgram } from './stage.ts'
import { leftBehind, runStage, withoutMiddle } from './stage-run.ts'
import { overlaid, type StoredWeights, weightKeys, weightsFile } from './weights.ts'

/** Whether programs have a weight that is not there. */
const lacking = (programs: readonly StageProgram[], { keys }: StoredWeights): boolean => {
  const there = new Set(keys)
  return programs.some(({ program }) => weightKeys(program).some((key) => !there.has(key)))
}

/** How many stages there are up to the one after which a run is to end, that one included. @throws RecipeError */
const endOf = (r: Recipe, until: string | undefined): number => {
  const index = until === undefined ? r.stages.length - 1 : r.stages.findIndex((s) => s.name === until)
  if (index >= 0) return index + 1
  throw new RecipeError(
    `recipe '${r.name}'`,
    'until',
    `there is no stage '${until}'; the stages are ${r.stages.map((s) => s.name).join(', ')}`,
  )
}

/** The weights that a run begins from: those that an earlier start has arrived at, else the recipe's own. */
const beginning = async (
  r: Recipe,
  programs: readonly StageProgram[],
  earlier: EarlierStart,
  { pathOf }: RunContext,
): Promise<StoredWeights> => {
  const own = (): Promise<StoredWeights> => startingWeights(`recipe '${r.name}'`, r.start)
  if (earlier.weights === undefined) return own()
  const there = await leftBehind(pathOf(earlier.weights, weightsFile))
  return earlier.forked && lacking(programs, there) ? overlaid(there, await own()) : there
}

/**
 * Runs a recipe.
 *
 * @param every steps between checkpoints inside a stage, where it is said for all
 */
export async function* runRecipe(
  r: Recipe,
  evaluation: Evaluation,
  every: number | undefined,
  context: RunContext,
): AsyncGenerator<RunEvent> {
  const started = performance.now()
  const earlier = earlierStart(context.earlier)
  const to = endOf(r, context.until)
  const programs = r.stages.map((stage) => programOf(stage, evaluation))
  // also what stages after the end of this start read: one that goes on from there has nothing but what this one leaves
  let weights = await beginning(r, programs.slice(earlier.finished), earlier, context)
  await preflight(
    r,
    programs,
    [earlier.finished, to],
    earlier.checkpoint?.stage,
    weights,
    context.engine.devices ?? 1,
  )
  if (earlier.weights === undefined) someFit(r, programs, weights)
  if (earlier.finished < to) await evaluation.preflight?.()
  const later = programs.slice(earlier.finished + 1, to).map(({ program }) => program)
  const compiling = later.length === 0 ? undefined : context.engine.compileAhead?.(later)
  try {
    for (const [index, stage] of r.stages.slice(0, to).entries()) {
      if (index < earlier.finished) {
        // a process that was killed right after the stage's end has left it
        await withoutMiddle({ stage, context })
        continue
      }
      const made = programs[index]!
      const checkpointEvery = every ?? stage.checkpointEvery ?? defaultCheckpointEvery
      const of = { recipe: r, stage, index, made, evaluation, context, earlier, checkpointEvery }
      try {
        weights = yield* runStage(of, weights)
      } catch (e) {
        throw ofStage(stage.name, e)
      }
    }
  } finally {
    await compiling?.end()
  }
  yield { type: 'run-finished', seconds: (performance.now() - started) / 1000 }
}
