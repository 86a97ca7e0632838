/**
 * Where a stage of reinforcement goes on, beside its state: between two episodes, or between two updates of one.
 *
 * @since 0.1.0
 */
import type { AdvisoryKind } from './advisories.ts'
import type { RatedGroup } from './group.ts'
import type { Columns } from './task.ts'

/** A place, as plain data. */
export interface Place {
  /** Episodes that are done. */
  readonly episodes: number
  /** Updates of the one under way that are done; default 0. */
  readonly updates?: number
  /** Tasks that were asked before it began. */
  readonly asked: number
  /** Completions that were learnt from. */
  readonly samples: number
  readonly told: readonly AdvisoryKind[]
  /** Where the source of tasks stood when it began. */
  readonly source?: unknown
  /** Log-probabilities that were taken anew before its first update ({@link encodedLogProbs}). */
  readonly old?: string
}

/** At the first episode. */
export const firstPlace: Place = { episodes: 0, asked: 0, samples: 0, told: [] }

/** Log-probabilities that were taken anew, in the order of groups, completions, tokens: float32 in base64. */
export const encodedLogProbs = (groups: readonly RatedGroup[]): string => {
  const all = Float32Array.from(groups.flatMap((g) => (g.oldLogProbs ?? []).flat()))
  return Buffer.from(all.buffer).toString('base64')
}

/**
 * Groups with the log-probabilities that {@link encodedLogProbs} kept.
 *
 * @throws Error where they are of other groups
 */
export const withLogProbs = <C extends Columns>(
  groups: readonly RatedGroup<C>[],
  kept: string,
): readonly RatedGroup<C>[] => {
  const bytes = Uint8Array.from(Buffer.from(kept, 'base64'))
  const all = new Float32Array(bytes.buffer, 0, Math.floor(bytes.length / 4))
  let at = 0
  const given = groups.map((g): RatedGroup<C> => {
    if (!g.selection.kept) return g
    const oldLogProbs = g.completions.map(({ ids }) => {
      at += ids.length
      return Array.from(all.subarray(at - ids.length, at))
    })
    return { ...g, oldLogProbs }
  })
  if (at !== all.length)
    throw new Error(
      `the checkpoint has ${all.length} log-probabilities of an episode whose rollouts have ${at} tokens: the file in rollouts/ is another than it was made with; put that back, or delete the stage's folder under checkpoints/ so that it begins anew`,
    )
  return given
}
