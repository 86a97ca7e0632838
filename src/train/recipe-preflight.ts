/** What can be known to fail before a recipe's first step. */
import { type Program, sizes } from '../dsl/index.ts'
import type { Evaluation } from './evaluation.ts'
import { openFrozen } from './opened-frozen.ts'
import type { Recipe } from './recipe.ts'
import { ofStage, RecipeError } from './setting-checks.ts'
import type { Stage, StageProgram } from './stage.ts'
import { placementOf } from './stage-weights.ts'
import { type StoredWeights, shapesOf, weightKeys } from './weights.ts'

/** A stage's program, of which the keys that it says to train are states. @throws RecipeError */
export const programOf = (stage: Stage, evaluation: Evaluation): StageProgram => {
  const made = stage.program(evaluation.functions(stage.name))
  const where = `stage '${stage.name}'`
  if (!(made?.program?.states instanceof Map) || !Array.isArray(made.trained))
    throw new RecipeError(where, 'program', 'it gives no program and no list of trained keys')
  const strange = made.trained.find((key) => !made.program.states.has(key))
  if (strange !== undefined)
    throw new RecipeError(where, 'program', `it says to train '${strange}', which is no state of its program`)
  return made
}

/** Sees that starting weights are of some use: where all keys may begin fresh, none need be missing. @throws RecipeError */
export const someFit = (
  r: Recipe,
  programs: readonly StageProgram[],
  { keys: there }: StoredWeights,
): void => {
  const wanted = programs.map((p) => weightKeys(p.program))
  const read = new Set(wanted.flat())
  if (there.length === 0 || there.some((key) => read.has(key))) return
  throw new RecipeError(
    `recipe '${r.name}'`,
    'start.weights',
    `none of the ${there.length} keys is one that a stage reads: there is ${there.slice(0, 2).join(', ')}, and stage '${r.stages[0]!.name}' reads ${wanted[0]!.slice(0, 2).join(', ')}; are the keys named otherwise?`,
  )
}

/**
 * Sees that devices share the rows of a learner's batches evenly: what does not divide would be computed whole on each.
 *
 * @throws RecipeError, which names the stage
 */
const sharesEvenly = (name: string, program: Program, devices: number): void => {
  for (const update of ['step', 'accumulate'])
    for (const { inputs } of program.functions.get(update) ?? [])
      for (const [key, { axes }] of inputs)
        for (const { name: axis, size } of axes.slice(0, 1))
          if (axis === 'batch' && size % devices !== 0)
            throw new RecipeError(
              `stage '${name}'`,
              'objective',
              `its batches have ${size} rows (of ${key}), and ${devices} devices share them; make that a multiple of ${devices}, or take as many devices as divide it`,
            )
}

/**
 * Everything that can be known to fail before the first step: each stage's graph, the weights that it would find, its first
 * batch. Of stages that this start does not come to, nothing is asked.
 */
export const preflight = async (
  r: Recipe,
  programs: readonly StageProgram[],
  [from, to]: readonly [first: number, end: number],
  begun: string | undefined,
  weights: StoredWeights,
  devices: number,
): Promise<void> => {
  const there = new Map(shapesOf(weights))
  for (const [index, stage] of r.stages.entries()) {
    if (index < from || index >= to) continue
    const { program } = programs[index]!
    placementOf(r.start, stage, program, there)
    await openFrozen(stage, program)
    if (devices > 1) sharesEvenly(stage.name, program, devices)
    for (const key of weightKeys(program))
      if (stage.ending?.without.has(key) !== true) there.set(key, sizes(program.states.get(key)!.axes))
    // the stage that an earlier start was in has read its first batch then
    if (stage.name === begun) continue
    try {
      await stage.preflight(program)
    } catch (e) {
      throw ofStage(stage.name, e)
    }
  }
}
