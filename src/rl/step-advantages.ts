/**
 * What each token of a completion is worth by the step that it belongs to, against steps of its kind in the episode: process
 * supervision (arXiv 2402.03300 §4.1.3).
 *
 * @since 0.1.0
 */
import { onlySettings } from '../settings/index.ts'
import { type AdvantageSettings, advantageNames, advantages } from './advantages.ts'
import type { Completion } from './completion.ts'
import type { RatedGroup } from './group.ts'
import type { Judgement, Step } from './reward.ts'

/** The steps of a judgement, and of those that it was put together from. */
export const stepsOf = (j: Judgement): readonly Step[] => [
  ...(j._tag === 'Scored' ? (j.steps ?? []) : []),
  ...Object.values(j.parts ?? {}).flatMap(stepsOf),
]

/** What steps of a group are read from. */
export interface SteppedGroup {
  readonly task: { readonly family: string }
  readonly completions: readonly Pick<Completion, 'ids' | 'texts'>[]
  readonly judgements: readonly Judgement[]
}

/**
 * A step is compared with all that are about the same in a family's tasks, as {@link advantages} compares the completions of
 * a task: what holds most often is worth little where it holds, and much where it does not. Two completions of a task are so
 * enough, and an episode of as many completions sees more tasks. A token that belongs to no step is worth 0, one of several
 * steps their sum. A completion that does not say what its tokens read as (`texts`) has only zeros.
 *
 * @returns shape [group, completion, token]
 */
export const stepAdvantages = (
  groups: readonly SteppedGroup[],
  settings: Omit<AdvantageSettings, 'steps' | 'families'> = {},
): readonly (readonly (readonly number[])[])[] => {
  onlySettings('stepAdvantages', settings, ['scale', 'epsilon'])
  const alike = new Map<string, { readonly step: Step; worth: number }[]>()
  const all = groups.map(({ task, judgements }) =>
    judgements.map((j) =>
      stepsOf(j).map((step) => {
        const key = `${task.family}: ${step.about ?? ''}`
        const one = { step, worth: 0 }
        const same = alike.get(key) ?? []
        same.push(one)
        alike.set(key, same)
        return one
      }),
    ),
  )
  for (const same of alike.values())
    advantages(
      same.map(({ step }) => step.value),
      settings,
    ).forEach((a, i) => {
      same[i]!.worth = a ?? 0
    })
  return groups.map(({ completions }, g) =>
    completions.map(({ ids, texts = [] }, i) => {
      let end = 0
      return ids.map((_, t) => {
        const start = end
        end += texts[t]?.length ?? 0
        return all[g]![i]!.reduce(
          (sum, { step, worth }) => (step.from < end && start < step.to ? sum + worth : sum),
          0,
        )
      })
    }),
  )
}

/** Groups of an episode with what their tokens are worth by steps, where these are learnt from. */
export const withStepAdvantages = <G extends RatedGroup>(
  groups: readonly G[],
  settings: AdvantageSettings,
): readonly G[] => {
  onlySettings('withStepAdvantages', settings, advantageNames)
  const { steps = 0, families = {}, ...rest } = settings
  if (steps === 0) return groups
  const worth = stepAdvantages(groups, rest)
  return groups.map((g, i) => {
    const weight = steps * (families[g.task.family] ?? 1)
    return { ...g, stepAdvantages: worth[i]!.map((of) => of.map((a) => a * weight)) }
  })
}
