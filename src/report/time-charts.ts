/** The report's pictures of time: what each stage's seconds went into. */
import { duration } from '../terminal/index.ts'
import { atWidths, colour, draw } from './chart.ts'
import type { Html } from './html.ts'
import type { RunView } from './view.ts'

/** What a stage's seconds went into. */
export interface StageTime {
  readonly stage: string
  readonly data: number
  readonly compute: number
  readonly other: number
  readonly evaluation: number
}

/** Seconds a stage: waiting for data, inside the engine, the rest of training, evaluation. */
export const stageTimes = (view: RunView): readonly StageTime[] =>
  view.stages.map((s) => {
    const sum = (key: 'dataSeconds' | 'computeSeconds'): number => s.taken.reduce((a, e) => a + e[key], 0)
    const data = sum('dataSeconds')
    const compute = sum('computeSeconds')
    return {
      stage: s.stage,
      data,
      compute,
      other: Math.max(0, (s.finished?.trainSeconds ?? s.seconds) - data - compute),
      evaluation: s.finished?.evaluateSeconds ?? s.evaluations.reduce((a, e) => a + e.seconds, 0),
    }
  })

/** The kinds of time, in the order in which they are stacked. */
export const timeKinds = [
  { key: 'compute', name: 'engine', colour: colour.strong },
  { key: 'data', name: 'waiting for data', colour: colour.second },
  { key: 'other', name: 'other', colour: colour.third },
  { key: 'evaluation', name: 'evaluation', colour: colour.fourth },
] as const

/** The unit in which a time axis that goes up to `seconds` has small round numbers, and its length in seconds. */
export const timeUnit = (seconds: number): readonly [name: string, seconds: number] =>
  seconds > 3 * 3600 ? ['hours', 3600] : seconds > 3 * 60 ? ['minutes', 60] : ['seconds', 1]

/** A bar a stage, stacked by what the time went into. */
export const timeChart = async (times: readonly StageTime[]): Promise<Html> =>
  atWidths(await timeBars(times, 880), await timeBars(times, 210))

const timeBars = (times: readonly StageTime[], width: number): Promise<Html> => {
  const sum = (t: StageTime): number => timeKinds.reduce((a, k) => a + t[k.key], 0)
  const [unit, length] = timeUnit(Math.max(...times.map(sum)))
  return draw(
    {
      width,
      height: { step: 30 },
      data: {
        values: times.flatMap((t) =>
          timeKinds.map((k, order) => ({ stage: t.stage, kind: k.name, time: t[k.key] / length, order })),
        ),
      },
      mark: { type: 'bar', height: 20 },
      encoding: {
        y: {
          field: 'stage',
          type: 'ordinal',
          sort: null,
          title: null,
          axis: { grid: false, labelFontSize: 12, labelColor: colour.text, labelLimit: 140 },
        },
        x: { field: 'time', type: 'quantitative', title: unit, axis: { tickCount: width / 60 } },
        color: {
          field: 'kind',
          type: 'nominal',
          legend: null,
          scale: { domain: timeKinds.map((k) => k.name), range: timeKinds.map((k) => k.colour) },
        },
        order: { field: 'order' },
      },
    },
    `Time by stage: ${times
      .map((t) => `${t.stage} ${duration(sum(t))}, of which ${duration(t.compute)} in the engine`)
      .join('; ')}.`,
  )
}
