/**
 * The end of a stage that has more than the model's weights: added parameters are merged, moving averages kept.
 *
 * @since 0.1.0
 */
import { join } from 'node:path'
import { anyOf } from '../dsl/index.ts'
import type { Session } from '../engine/index.ts'
import { emaKey } from '../optim/index.ts'
import type { StageEnding } from './stage.ts'
import { orThrow } from './task.ts'
import type { GraphTransform } from './transform.ts'
import { averagesFile, readOne, type StoredWeights, saveWeights } from './weights.ts'

/** Weights with the moving averages of those that have one. */
const averagedBy = (session: Session, weights: StoredWeights): StoredWeights => ({
  ...weights,
  read: (key) =>
    session.program.states.has(emaKey(key)) ? readOne(session, emaKey(key)) : weights.read(key),
})

/** A stage's ending; none where its weights are handed on as they are. */
export const endingOf = (
  transforms: readonly GraphTransform[],
  averages: boolean,
): { readonly ending?: StageEnding } => {
  const added = transforms.flatMap((t) => t.adds ?? [])
  if (added.length === 0 && !averages) return {}
  const absorbed = (weights: StoredWeights) => added.reduce((w, { absorb }) => absorb(w), weights)
  return {
    ending: {
      without: anyOf(added.map((a) => a.keys)),
      ...(averages ? { beside: [{ weights: 'averaged', file: averagesFile }] } : {}),
      finish: async (session, weights, folder) => {
        for (const { save } of added) await orThrow(save(folder, weights))
        const mean = averagedBy(session, weights)
        if (averages) await orThrow(saveWeights(join(folder, averagesFile), absorbed(mean), { format: 'pt' }))
        return absorbed(weights)
      },
    },
  }
}
