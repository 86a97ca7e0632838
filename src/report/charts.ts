/**
 * The report's pictures of numbers.
 *
 * @since 0.1.0
 */
import { duration, percent, rate, significant } from '../train/format.ts'
import { colour, draw } from './chart.ts'
import { finite, logTicks, type Point, smooth, spanOf, thin, wantsLog } from './curve.ts'
import type { Html } from './html.ts'
import type { RunView, StageView } from './view.ts'
import { wilson } from './wilson.ts'

const losses = (s: StageView): readonly Point[] => s.taken.map((e) => ({ x: e.step, y: e.loss }))
const shifted = (points: readonly Point[], by: number): readonly Point[] =>
  points.map((p) => ({ x: p.x + by, y: p.y }))
const stepAxis = { title: 'step', grid: false, format: 'd', tickMinStep: 1 } as const

const lossScale = (points: readonly Point[]) => {
  if (!wantsLog(points))
    return {
      title: 'loss',
      scale: { type: 'linear' as const, zero: false, nice: true },
      axis: { tickCount: 5 },
    }
  const low = points.reduce((a, p) => Math.min(a, p.y), Number.POSITIVE_INFINITY) / 1.08
  const high = points.reduce((a, p) => Math.max(a, p.y), 0) * 1.08
  return {
    title: 'loss (log)',
    scale: { type: 'log' as const, nice: false, domain: [low, high] },
    axis: { values: [...logTicks(low, high)], format: '~g' },
  }
}

/** The loss over all stages, one after another, with the stages' names and borders. */
export const lossOverview = (view: RunView): Promise<Html> => {
  let before = 0
  const parts = view.stages.map((s) => {
    const from = before
    before += s.taken.at(-1)?.step ?? 0
    const raw = finite(losses(s))
    return {
      s,
      from,
      to: before,
      raw: shifted(thin(raw, 240), from),
      even: shifted(thin(smooth(raw, spanOf(raw)), 240), from),
    }
  })
  const all = parts.flatMap((p) => p.raw)
  const points = (of: 'raw' | 'even') => parts.flatMap((p) => p[of].map((q) => ({ ...q, stage: p.s.stage })))
  const x = {
    field: 'x',
    type: 'quantitative' as const,
    axis: stepAxis,
    scale: { nice: false, domain: [0, Math.max(1, before)] },
  }
  const y = { field: 'y', type: 'quantitative' as const, ...lossScale(all) }
  return draw(
    {
      width: 880,
      height: 220,
      layer: [
        {
          data: { values: parts.slice(1).map((p) => ({ x: p.from })) },
          mark: { type: 'rule', color: colour.muted, strokeDash: [3, 3], opacity: 0.6 },
          encoding: { x },
        },
        {
          data: { values: points('raw') },
          mark: { type: 'line', color: colour.faint, strokeWidth: 1 },
          encoding: { x, y, detail: { field: 'stage' } },
        },
        {
          data: { values: points('even') },
          mark: { type: 'line', color: colour.strong, strokeWidth: 2 },
          encoding: { x, y, detail: { field: 'stage' } },
        },
        {
          data: { values: parts.map((p) => ({ x: (p.from + p.to) / 2, name: p.s.stage })) },
          mark: {
            type: 'text',
            baseline: 'bottom',
            fontSize: 12,
            y: -4,
            limit: 880 / Math.max(1, parts.length),
          },
          encoding: { x, text: { field: 'name' } },
        },
      ],
    },
    `Loss over ${view.stages.length} stages: ${view.stages
      .map((s) => `${s.stage} ends at ${significant(s.finished?.loss ?? s.smoothLoss)}`)
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
  const y = { field: 'y', type: 'quantitative' as const, ...lossScale(raw) }
  return draw(
    {
      spacing: 22,
      bounds: 'flush',
      vconcat: [
        {
          width: 260,
          height: 140,
          layer: [
            {
              data: { values: [...thin(raw, 300)] },
              mark: { type: 'line', color: colour.faint, strokeWidth: 1 },
              encoding: { x: { ...x, axis: { ...stepAxis, title: null, labels: false } }, y },
            },
            {
              data: { values: [...thin(smooth(raw, spanOf(raw)), 300)] },
              mark: { type: 'line', color: colour.strong, strokeWidth: 2 },
              encoding: { x: { ...x, axis: { ...stepAxis, title: null, labels: false } }, y },
            },
          ],
        },
        {
          width: 260,
          height: 50,
          data: { values: [...thin(rates, 300)] },
          mark: { type: 'line', color: colour.second, strokeWidth: 1.5 },
          encoding: {
            x: { ...x, axis: stepAxis },
            y: {
              field: 'y',
              type: 'quantitative',
              title: 'learning rate',
              axis: { tickCount: 2, labelExpr: 'datum.value === 0 ? "0" : format(datum.value, ".0e")' },
              scale: { zero: true, nice: true },
            },
          },
        },
      ],
    },
    `Loss and learning rate of stage ${s.stage}: the loss goes from ${significant(raw[0]?.y ?? Number.NaN)} to ${significant(s.finished?.loss ?? s.smoothLoss)} in ${s.step} steps; the learning rate peaks at ${rate(Math.max(0, ...rates.map((p) => p.y)))}.`,
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
    axis: { format: '.0%', tickCount: 5, title: null },
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

/** A bar a stage, stacked by what the time went into. */
export const timeChart = (times: readonly StageTime[]): Promise<Html> =>
  draw(
    {
      width: 640,
      height: { step: 30 },
      data: {
        values: times.flatMap((t) =>
          timeKinds.map((k, order) => ({ stage: t.stage, kind: k.name, seconds: t[k.key], order })),
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
        x: { field: 'seconds', type: 'quantitative', title: 'seconds', axis: { tickCount: 6 } },
        color: {
          field: 'kind',
          type: 'nominal',
          scale: { domain: timeKinds.map((k) => k.name), range: timeKinds.map((k) => k.colour) },
        },
        order: { field: 'order' },
      },
    },
    `Time by stage: ${times
      .map(
        (t) =>
          `${t.stage} ${duration(t.compute + t.data + t.other + t.evaluation)}, of which ${duration(t.compute)} in the engine`,
      )
      .join('; ')}.`,
  )
