/**
 * What each token of a completion is worth by the step that it belongs to, against the same steps of its group: process
 * supervision (arXiv 2402.03300 §4.1.3).
 *
 * @since 0.3.0
 */
import { type AdvantageSettings, advantages } from './advantages.ts'
import type { Completion } from './completion.ts'
import type { Judgement, Step } from './reward.ts'

/** The steps of a judgement, and of those that it was put together from. */
export const stepsOf = (j: Judgement): readonly Step[] => [
  ...(j._tag === 'Scored' ? (j.steps ?? []) : []),
  ...Object.values(j.parts ?? {}).flatMap(stepsOf),
]

/**
 * A step is compared with those of the others that are about the same, or else with their n-th, as {@link advantages} compares whole
 * completions; where all hold, or none does, it is worth nothing. A token that belongs to no step is worth 0, one of several
 * steps their sum. A completion that does not say what its tokens read as (`texts`) has only zeros.
 *
 * @returns shape [completion, token]
 */
export const stepAdvantages = (
  completions: readonly Pick<Completion, 'ids' | 'texts'>[],
  judgements: readonly Judgement[],
  settings: Omit<AdvantageSettings, 'steps' | 'families'> = {},
): readonly (readonly number[])[] => {
  const steps = judgements.map(stepsOf)
  const worth = steps.map((of): number[] => of.map(() => 0))
  /** Steps by what they are about. */
  const places = new Map<string, (readonly [completion: number, step: number])[]>()
  steps.forEach((of, i) => {
    of.forEach(({ about }, n) => {
      const key = about ?? String(n)
      places.set(key, [...(places.get(key) ?? []), [i, n]])
    })
  })
  for (const same of places.values())
    advantages(
      same.map(([i, n]) => steps[i]![n]!.value),
      settings,
    ).forEach((a, k) => {
      const [i, n] = same[k]!
      if (a !== undefined) worth[i]![n] = a
    })
  return completions.map(({ ids, texts = [] }, i) => {
    let end = 0
    return ids.map((_, t) => {
      const start = end
      end += texts[t]?.length ?? 0
      return steps[i]!.reduce((sum, s, n) => (s.from < end && start < s.to ? sum + worth[i]![n]! : sum), 0)
    })
  })
}
