/**
 * The report's pictures of numbers.
 *
 * @since 0.1.0
 */
import type { Measurement } from '../run/index.ts'
import { duration, percent, rate, significant } from '../terminal/index.ts'
import { atWidths, colour, draw } from './chart.ts'
import { finite, logTicks, type Point, smooth, spanOf, thin, wantsLog } from './curve.ts'
import type { Html } from './html.ts'
import { placeLabels } from './labels.ts'
import type { RunView, StageView } from './view.ts'
import { wilson } from './wilson.ts'

export const losses = (s: StageView): readonly Point[] => s.taken.map((e) => ({ x: e.step, y: e.loss }))
const shifted = (points: readonly Point[], by: number): readonly Point[] =>
  points.map((p) => ({ x: p.x + by, y: p.y }))
export const stepAxis = { title: 'step', grid: false, format: ',d', tickMinStep: 1 } as const
/** A line, or points where there are too few of them for one to be seen. */
export const curve = (points: readonly Point[], color: string, strokeWidth: number) =>
  points.length < 3
    ? { type: 'line' as const, color, strokeWidth, point: { filled: true, color, size: 30 } }
    : { type: 'line' as const, color, strokeWidth }

/** Of losses in one unit; of several stages whose units differ there is none to name. */
export const lossScale = (points: readonly Point[], units: readonly string[]) => {
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

/** How a decision of a search for the learning rate is marked in the charts. */
export const decisionMarks = [
  { decision: 'Tried', name: 'higher rate tried', colour: colour.second, shape: 'triangle-up' },
  { decision: 'Kept', name: 'kept', colour: colour.fourth, shape: 'circle' },
  { decision: 'Left', name: 'left: neither faster nor slower', colour: colour.third, shape: 'diamond' },
  { decision: 'RolledBack', name: 'rolled back', colour: colour.wrong, shape: 'cross' },
] as const

/** A stage's decisions but the windows from which nothing followed, each at the rate that came of it. */
export const decided = (s: Pick<StageView, 'taken' | 'decisions'>) => {
  const rates = new Map(s.taken.map((e) => [e.step, e.learningRate]))
  return s.decisions.flatMap((d) => {
    const mark = decisionMarks.find((m) => m.decision === d.decision)
    const y = rates.get(d.step + 1) ?? rates.get(d.step)
    return mark === undefined || y === undefined ? [] : [{ x: d.step, y, mark }]
  })
}

/** The rate's axis: nought and the highest. */
export const rateScale = (peak: number) => ({
  field: 'y',
  type: 'quantitative' as const,
  title: 'learning rate',
  axis: {
    values: peak > 0 ? [0, peak] : [0],
    labelExpr: 'datum.value === 0 ? "0" : format(datum.value, ".2~e")',
  },
  scale: { nice: false, domain: [0, peak > 0 ? peak : 1] },
})

/** Loss (raw and smoothed) and, below it, the learning rate of one stage, with what a search for it decided. */
export const stageCurves = (s: StageView): Promise<Html> => {
  const raw = finite(losses(s))
  const rates = finite(s.taken.map((e) => ({ x: e.step, y: e.learningRate })))
  const marks = decided(s)
  const marked = decisionMarks.filter((m) => marks.some((d) => d.mark === m))
  const x = {
    field: 'x',
    type: 'quantitative' as const,
    scale: { nice: false, domain: [0, Math.max(1, s.taken.at(-1)?.step ?? 1)] },
  }
  const above = { ...x, axis: { ...stepAxis, title: null, labels: false } }
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
            ...marked.map((m) => ({
              data: { values: marks.filter((d) => d.mark === m).map((d) => ({ x: d.x })) },
              mark: { type: 'rule' as const, color: m.colour, opacity: 0.45 },
              encoding: { x: above },
            })),
            {
              data: { values: [...thin(raw, 300)] },
              mark: curve(raw, colour.faint, 1),
              encoding: { x: above, y },
            },
            {
              data: { values: [...thin(smooth(raw, spanOf(raw)), 300)] },
              mark: curve(raw, colour.strong, 2),
              encoding: { x: above, y },
            },
          ],
        },
        {
          width: 260,
          height: marks.length === 0 ? 50 : 90,
          layer: [
            {
              data: { values: [...thin(rates, 300)] },
              mark: curve(rates, colour.second, 1.5),
              encoding: { x: { ...x, axis: stepAxis }, y: rateScale(peak) },
            },
            ...marked.map((m) => ({
              data: { values: marks.filter((d) => d.mark === m).map((d) => ({ x: d.x, y: d.y })) },
              mark: {
                type: 'point' as const,
                ...{ filled: true, opacity: 1, size: 55, shape: m.shape, color: m.colour },
              },
              encoding: { x: { ...x, axis: stepAxis }, y: rateScale(peak) },
            })),
          ],
        },
      ],
    },
    `Loss and learning rate of stage ${s.stage}: the loss goes from ${significant(raw[0]?.y ?? Number.NaN)} to ${significant(s.finished?.loss ?? s.smoothLoss)} ${s.unit} in ${s.step} steps; the learning rate peaks at ${rate(peak)}${
      marks.length === 0
        ? ''
        : `; its search decided ${marked
            .map((m) => `${marks.filter((d) => d.mark === m).length} × ${m.name}`)
            .join(', ')}`
    }.`,
  )
}

/** The axis of stages, of what is measured after each. */
const stageAxis = {
  field: 'stage',
  type: 'ordinal' as const,
  sort: null,
  title: null,
  scale: { padding: 0.4 },
  axis: { labelAngle: -35, labelLimit: 120, grid: false },
}

/** What was measured of a family after each stage, of the weights or of their moving averages. */
const measurementsOf = (view: RunView, family: string, of: (s: StageView) => readonly Measurement[]) =>
  view.stages.flatMap((s) => {
    const m = of(s).find((x) => x.family === family)
    return m === undefined ? [] : [{ stage: s.stage, m }]
  })

/** Averaged weights' marks stand right of the weights' own. */
const beside = (of: 'own' | 'averaged') =>
  of === 'own' ? { color: colour.strong } : { color: colour.second, xOffset: 9 }

/** One family's share after each stage, with the interval in which it lies. */
export const familyChart = (view: RunView, family: string): Promise<Html> => {
  const shares = (of: (s: StageView) => readonly Measurement[]) =>
    measurementsOf(view, family, of).flatMap(({ stage, m }) => {
      if (m.type !== 'evaluated') return []
      const [low, high] = wilson(m.correct, m.total)
      return [{ stage, share: m.correct / m.total, low, high }]
    })
  const [own, averaged] = [shares((s) => s.evaluations), shares((s) => s.averaged)]
  const x = stageAxis
  const y = {
    type: 'quantitative' as const,
    scale: { domain: [0, 1] },
    axis: { labelExpr: 'format(100 * datum.value, "d") + " %"', tickCount: 5, title: null },
  }
  const marks = (values: typeof own, of: 'own' | 'averaged') => [
    {
      data: { values },
      mark: { type: 'rule' as const, strokeWidth: 2, ...beside(of) },
      encoding: { x, y: { ...y, field: 'low' }, y2: { field: 'high' } },
    },
    {
      data: { values },
      mark: { type: 'point' as const, filled: true, size: 60, opacity: 1, ...beside(of) },
      encoding: { x, y: { ...y, field: 'share' } },
    },
  ]
  return draw(
    {
      width: 200,
      height: 130,
      layer: [
        {
          data: { values: own },
          mark: { type: 'line', color: colour.strong, strokeWidth: 1.5, opacity: 0.5 },
          encoding: { x, y: { ...y, field: 'share' } },
        },
        ...marks(own, 'own'),
        ...(averaged.length === 0 ? [] : marks(averaged, 'averaged')),
      ],
    },
    `Accuracy on ${family}: ${own.map((v) => `${percent(v.share)} after ${v.stage}`).join(', ')}${averaged.map((v) => `; averaged weights ${percent(v.share)} after ${v.stage}`).join('')}.`,
  )
}

/** One family's mean after each stage, such as a held-out loss, in its unit. */
export const measureChart = (view: RunView, family: string): Promise<Html> => {
  const means = (of: (s: StageView) => readonly Measurement[]) =>
    measurementsOf(view, family, of).flatMap(({ stage, m }) =>
      m.type === 'measured' ? [{ stage, x: 0, y: m.value, unit: m.unit }] : [],
    )
  const [own, averaged] = [means((s) => s.measures), means((s) => s.averaged)]
  const all = [...own, ...averaged].filter((p) => Number.isFinite(p.y))
  const y = {
    field: 'y',
    type: 'quantitative' as const,
    ...lossScale(all, [...new Set(all.map((p) => p.unit))]),
  }
  const named = { ...y, title: y.title.replace(/^loss(, )?/, '') || null }
  const points = (values: typeof own, of: 'own' | 'averaged') => ({
    data: { values: values.filter((p) => Number.isFinite(p.y)) },
    mark: { type: 'point' as const, filled: true, size: 60, opacity: 1, ...beside(of) },
    encoding: { x: stageAxis, y: named },
  })
  return draw(
    {
      width: 200,
      height: 130,
      layer: [
        {
          data: { values: all.filter((p) => own.includes(p)) },
          mark: { type: 'line', color: colour.strong, strokeWidth: 1.5, opacity: 0.5 },
          encoding: { x: stageAxis, y: named },
        },
        points(own, 'own'),
        ...(averaged.length === 0 ? [] : [points(averaged, 'averaged')]),
      ],
    },
    `${family}: ${own.map((v) => `${significant(v.y)} ${v.unit} after ${v.stage}`).join(', ')}${averaged.map((v) => `; averaged weights ${significant(v.y)} after ${v.stage}`).join('')}.`,
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
