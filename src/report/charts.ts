/**
 * The report's pictures of numbers.
 *
 * @since 0.1.0
 */
import { duration, percent, rate, significant } from '../terminal/index.ts'
import { atWidths, colour, draw } from './chart.ts'
import { finite, logTicks, type Point, smooth, spanOf, thin, wantsLog } from './curve.ts'
import type { Html } from './html.ts'
import { placeLabels } from './labels.ts'
import type { RunView, StageView } from './view.ts'
import { wilson } from './wilson.ts'

const losses = (s: StageView): readonly Point[] => s.taken.map((e) => ({ x: e.step, y: e.loss }))
const shifted = (points: readonly Point[], by: number): readonly Point[] =>
  points.map((p) => ({ x: p.x + by, y: p.y }))
const stepAxis = { title: 'step', grid: false, format: ',d', tickMinStep: 1 } as const
/** A line, or points where there are too few of them for one to be seen. */
const curve = (points: readonly Point[], color: string, strokeWidth: number) =>
  points.length < 3
    ? { type: 'line' as const, color, strokeWidth, point: { filled: true, color, size: 30 } }
    : { type: 'line' as const, color, strokeWidth }

/** Of losses in one unit; of several stages whose units differ there is none to name. */
const lossScale = (points: readonly Point[], units: readonly string[]) => {
  const unit = units.every((u) => u === units[0]) && units[0] !== undefined ? `, ${units[0]}` : ''
  const least = points.reduce((a, p) => Math.min(a, p.y), Number.POSITIVE_INFINITY)
  const most = points.reduce((a, p) => Math.max(a, p.y), Number.NEGATIVE_INFINITY)
  if (!wantsLog(points)) {
    const around = Math.abs(least) / 10 || 1
    return {
      title: `loss${unit}`,
      scale: {
        type: 'linear' as const,
        zero: false,
        nice: true,
        ...(least === most && { domain: [least - around, least + around] }),
      },
      axis: { tickCount: 5 },
    }
  }
  const low = least / 1.08
  const high = most * 1.08
  return {
    title: `loss${unit} (log)`,
    scale: { type: 'log' as const, nice: false, domain: [low, high] },
    axis: { values: [...logTicks(low, high)], format: '~g' },
  }
}

/** The loss over all stages, one after another, with the stages' borders and as many of their names as have room. */
export const lossOverview = async (view: RunView): Promise<Html> =>
  atWidths(await overview(view, 880, 220, 240), await overview(view, 290, 180, 120))

const overview = (view: RunView, width: number, height: number, most: number): Promise<Html> => {
  let before = 0
  const parts = view.stages.map((s) => {
    const from = before
    before += s.taken.at(-1)?.step ?? 0
    const raw = finite(losses(s))
    return {
      number: s.index + 1,
      name: s.stage,
      from,
      to: before,
      raw: shifted(thin(raw, most), from),
      even: shifted(thin(smooth(raw, spanOf(raw)), most), from),
    }
  })
  const all = Math.max(1, before)
  const x = {
    field: 'x',
    type: 'quantitative' as const,
    axis: { ...stepAxis, tickCount: width / 80 },
    scale: { nice: false, domain: [0, all] },
  }
  const y = {
    field: 'y',
    type: 'quantitative' as const,
    ...lossScale(
      parts.flatMap((p) => p.raw),
      view.stages.map((s) => s.unit),
    ),
  }
  const line = (points: readonly Point[], color: string, strokeWidth: number) => ({
    data: { values: [...points] },
    mark: curve(points, color, strokeWidth),
    encoding: { x, y },
  })
  const px = (step: number): number => (step / all) * width
  const labels = placeLabels(
    parts.map((p) => ({ number: p.number, name: p.name, from: px(p.from), to: px(p.to) })),
    [-40, width],
  ).filter((l) => l !== undefined)
  return draw(
    {
      width,
      height,
      layer: [
        {
          data: { values: parts.slice(1).map((p) => ({ x: p.from })) },
          mark: { type: 'rule', color: colour.muted, strokeDash: [3, 3], opacity: 0.6 },
          encoding: { x },
        },
        ...parts.map((p) => line(p.raw, colour.faint, 1)),
        ...parts.map((p) => line(p.even, colour.strong, 2)),
        ...labels.map((l) => ({
          data: { values: [{}] },
          mark: {
            type: 'text' as const,
            baseline: 'bottom' as const,
            fontSize: 12,
            x: l.x,
            y: -4 - 16 * l.row,
            text: l.text,
          },
        })),
      ],
    },
    `Loss over ${view.stages.length} stages: ${view.stages
      .map((s) => `${s.stage} ends at ${significant(s.finished?.loss ?? s.smoothLoss)} ${s.unit}`)
      .join(', ')}.`,
  )
}

/** Loss (raw and smoothed) and, below it, the learning rate of one stage. */
export const stageCurves = (s: StageView): Promise<Html> => {
  const raw = finite(losses(s))
  const rates = finite(s.taken.map((e) => ({ x: e.step, y: e.learningRate })))
  const x = {
    field: 'x',
    type: 'quantitative' as const,
    scale: { nice: false, domain: [0, Math.max(1, s.taken.at(-1)?.step ?? 1)] },
  }
  const y = { field: 'y', type: 'quantitative' as const, ...lossScale(raw, [s.unit]) }
  const peak = rates.reduce((a, p) => Math.max(a, p.y), 0)
  return draw(
    {
      spacing: 26,
      bounds: 'flush',
      vconcat: [
        {
          width: 260,
          height: 140,
          layer: [
            {
              data: { values: [...thin(raw, 300)] },
              mark: curve(raw, colour.faint, 1),
              encoding: { x: { ...x, axis: { ...stepAxis, title: null, labels: false } }, y },
            },
            {
              data: { values: [...thin(smooth(raw, spanOf(raw)), 300)] },
              mark: curve(raw, colour.strong, 2),
              encoding: { x: { ...x, axis: { ...stepAxis, title: null, labels: false } }, y },
            },
          ],
        },
        {
          width: 260,
          height: 50,
          data: { values: [...thin(rates, 300)] },
          mark: curve(rates, colour.second, 1.5),
          encoding: {
            x: { ...x, axis: stepAxis },
            y: {
              field: 'y',
              type: 'quantitative',
              title: 'learning rate',
              axis: {
                values: peak > 0 ? [0, peak] : [0],
                labelExpr: 'datum.value === 0 ? "0" : format(datum.value, ".2~e")',
              },
              scale: { nice: false, domain: [0, peak > 0 ? peak : 1] },
            },
          },
        },
      ],
    },
    `Loss and learning rate of stage ${s.stage}: the loss goes from ${significant(raw[0]?.y ?? Number.NaN)} to ${significant(s.finished?.loss ?? s.smoothLoss)} ${s.unit} in ${s.step} steps; the learning rate peaks at ${rate(peak)}.`,
  )
}

/** One family's accuracy after each stage, with the interval in which it lies. */
export const familyChart = (view: RunView, family: string): Promise<Html> => {
  const values = view.stages.flatMap((s) => {
    const e = s.evaluations.find((x) => x.family === family)
    if (e === undefined) return []
    const [low, high] = wilson(e.correct, e.total)
    return [{ stage: s.stage, share: e.correct / e.total, low, high }]
  })
  const x = {
    field: 'stage',
    type: 'ordinal' as const,
    sort: null,
    title: null,
    scale: { padding: 0.4 },
    axis: { labelAngle: -35, labelLimit: 120, grid: false },
  }
  const y = {
    type: 'quantitative' as const,
    scale: { domain: [0, 1] },
    axis: { labelExpr: 'format(100 * datum.value, "d") + " %"', tickCount: 5, title: null },
  }
  return draw(
    {
      width: 200,
      height: 130,
      data: { values },
      layer: [
        {
          mark: { type: 'line', color: colour.strong, strokeWidth: 1.5, opacity: 0.5 },
          encoding: { x, y: { ...y, field: 'share' } },
        },
        {
          mark: { type: 'rule', color: colour.strong, strokeWidth: 2 },
          encoding: { x, y: { ...y, field: 'low' }, y2: { field: 'high' } },
        },
        {
          mark: { type: 'point', filled: true, size: 60, color: colour.strong, opacity: 1 },
          encoding: { x, y: { ...y, field: 'share' } },
        },
      ],
    },
    `Accuracy on ${family}: ${values.map((v) => `${percent(v.share)} after ${v.stage}`).join(', ')}.`,
  )
}

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
