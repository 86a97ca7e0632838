/**
 * `--from` and `--until`: which of a recipe's stages a start is to carry out.
 *
 * @since 0.1.0
 */
import * as E from 'fp-ts/lib/Either.js'
import { didYouMean } from '../terminal/index.ts'
import type { Experiment } from '../train/index.ts'
import { type Args, type CliError, refuse } from './command.ts'

/** A stage to begin with. */
export interface FirstStage {
  readonly name: string
  readonly index: number
  /** The stage whose end it begins after; undefined of the recipe's first, which begins with the recipe's own weights. */
  readonly after?: string
}

/** The stages of a start; what is not said is the recipe's first and last. */
export interface StageRange {
  readonly from?: FirstStage
  readonly until?: { readonly name: string; readonly index: number }
}

/** Reads `--from` and `--until` and sees that there are such stages, in this order. */
export const stageRangeOf = (
  args: Pick<Args, 'text'>,
  experiment: Experiment,
): E.Either<CliError, StageRange> => {
  const [from, until] = [args.text('from'), args.text('until')]
  if (from === undefined && until === undefined) return E.right({})
  const flag = from === undefined ? '--until' : '--from'
  const names = experiment.stages?.map((s) => s.name) ?? []
  if (names.length === 0)
    return refuse(
      `${flag}: experiment '${experiment.name}' names no stages, so that it can only be run whole; make it with experiment(…)`,
    )
  for (const [option, name] of Object.entries({ from, until }))
    if (name !== undefined && !names.includes(name))
      return refuse(
        `--${option} ${name}: there is no such stage.${didYouMean(name, names)} The stages of '${experiment.name}' are ${names.join(', ')}.`,
      )
  const [first, last] = [from, until].map((name) => (name === undefined ? undefined : names.indexOf(name)))
  if (first !== undefined && last !== undefined && first > last)
    return refuse(
      `--from ${from} --until ${until}: ${from} comes after ${until}. The stages of '${experiment.name}' are ${names.join(', ')}.`,
    )
  return E.right({
    from: first === undefined ? undefined : { name: from!, index: first, after: names[first - 1] },
    until: last === undefined ? undefined : { name: until!, index: last },
  })
}
