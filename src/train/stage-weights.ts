/** The weights of a recipe's stage: which of those that are there its program takes, and how they come into its session. */
import { anyOf, type Keys, type Program } from '../dsl/index.ts'
import type { Session, TensorValue } from '../engine/index.ts'
import type { Start } from './recipe-start.ts'
import type { Stage } from './stage.ts'
import { orThrow } from './task.ts'
import { inGroups, type Placement, placeWeights, type StoredWeights } from './weights.ts'

const freshOf = (start: Start, stage: Stage): Keys =>
  anyOf([
    ...(start.fresh === undefined ? [] : [start.fresh]),
    ...(stage.own === undefined ? [] : [stage.own]),
  ])

/** What a stage's program takes of weights that are there. @throws WeightsError */
export const placementOf = (
  start: Start,
  stage: Stage,
  p: Program,
  there: ReadonlyMap<string, readonly number[]>,
): Placement => {
  const placement = placeWeights(p, there, freshOf(start, stage))
  if (placement._tag === 'Left') throw placement.left
  return placement.right
}

/** Puts weights into a session, some at a time. */
export const putIn = async (
  session: Session,
  weights: StoredWeights,
  keys: readonly string[],
): Promise<void> => {
  for (const group of inGroups(session.program, keys)) {
    const values = new Map<string, TensorValue>()
    for (const key of group) values.set(key, await orThrow(weights.read(key)))
    await orThrow(session.write(values))
  }
}
