/** What a run came to, in words and as JSON. */
import type { EventOf, RunState } from '../run/index.ts'

/** Where a run stands that was stopped. */
export const standing = (state: RunState): string => {
  const stage = state.stages[state.current]
  if (stage === undefined) return 'before the first stage'
  return stage.finished === undefined
    ? `in stage ${stage.index + 1} of ${stage.of}, ${stage.stage}, after step ${stage.step} of ${stage.steps}`
    : `after stage ${stage.index + 1} of ${stage.of}, ${stage.stage}`
}

const shareOf = ({ family, correct, total }: EventOf<'evaluated'>) => ({
  ...{ family, correct, total },
  accuracy: correct / total,
})
const meanOf = ({ family, value, unit, weight }: EventOf<'measured'>) => ({ family, value, unit, weight })

/** What `run --json` prints. */
export const resultOf = (folder: string, report: string | undefined, state: RunState): unknown => ({
  folder,
  report: report ?? null,
  badRows: state.badRows.count,
  stages: state.stages.map((s) => ({
    stage: s.stage,
    steps: s.step,
    samples: s.finished?.samples ?? s.samples,
    loss: s.finished?.loss ?? null,
    trainSeconds: s.finished?.trainSeconds ?? s.seconds,
    evaluateSeconds: s.finished?.evaluateSeconds ?? null,
    families: s.evaluations.map(shareOf),
    measures: s.measures.map(meanOf),
    ...(s.averaged.length === 0
      ? {}
      : {
          averaged: {
            families: s.averaged.flatMap((m) => (m.type === 'evaluated' ? [shareOf(m)] : [])),
            measures: s.averaged.flatMap((m) => (m.type === 'measured' ? [meanOf(m)] : [])),
          },
        }),
  })),
})
