/**
 * What a policy learns from: one completion with its advantage.
 *
 * @since 0.1.0
 */
import type { RgbImage } from '../data/index.ts'
import { present } from '../settings/internal.ts'
import type { Completion } from './completion.ts'
import type { RatedGroup } from './group.ts'

/** A completion as a loss reads it. */
export interface Experience {
  /** Errors name it. */
  readonly id: string
  /** Tokens that the policy read. Shape [token]. */
  readonly promptIds: readonly number[]
  /** In the order of their tokens in the prompt. */
  readonly images: readonly RgbImage[]
  /** Tokens that it drew, at least one. Shape [token]. */
  readonly ids: readonly number[]
  /** Under the policy that the ratio is taken against, at the sampling temperature. Shape [token]. */
  readonly oldLogProbs: readonly number[]
  /** Under the policy that drew them, where it is another. Shape [token]. */
  readonly samplingLogProbs?: readonly number[]
  /** Under the reference. Shape [token]. */
  readonly referenceLogProbs?: readonly number[]
  readonly advantage: number
  /** What each token is worth beside that, where steps were judged. Shape [token]. */
  readonly stepAdvantages?: readonly number[]
}

/** A group's completion as a loss reads it; without an advantage it has 0. */
export const experienceOf = (group: RatedGroup, sample: number): Experience => {
  const { task, completions, oldLogProbs, referenceLogProbs } = group
  const reference = referenceLogProbs?.[sample]
  const steps = group.stepAdvantages?.[sample]
  const { promptIds, ids, logProbs } = completions[sample]!
  return {
    ...{ id: `${task.id}, sample ${sample}`, promptIds, images: task.prompt.images, ids },
    ...{ oldLogProbs: oldLogProbs?.[sample] ?? logProbs, samplingLogProbs: logProbs },
    ...present({ referenceLogProbs: reference }),
    advantage: group.advantages[sample] ?? 0,
    ...present({ stepAdvantages: steps }),
  }
}

/**
 * Overlong filtering (DAPO, ablation): whether a completion's tokens count in the loss. All of one that ended by itself do, none of
 * one that was cut off, which says nothing of how it would have ended. Its reward still counts in its group's mean.
 */
export const counts = (completion: Pick<Completion, 'stop'>, filterOverlong: boolean): boolean =>
  !(filterOverlong && completion.stop === 'length')

/**
 * What is learnt from a group: its completions with an advantage, but where `filterOverlong` says so those that were cut off.
 */
export const experiencesOf = (group: RatedGroup, filterOverlong: boolean): readonly Experience[] =>
  group.completions.flatMap((c, i) =>
    group.advantages[i] === undefined || !counts(c, filterOverlong) ? [] : [experienceOf(group, i)],
  )
