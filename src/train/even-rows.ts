/** Rows of batches that several devices share. */
import type { Program } from '../dsl/index.ts'
import { RecipeError } from './recipe-error.ts'

/**
 * Sees that devices share the rows of a learner's batches evenly: what does not divide would be computed whole on each.
 *
 * @throws RecipeError, which names the stage
 */
export const sharesEvenly = (name: string, program: Program, devices: number): void => {
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
