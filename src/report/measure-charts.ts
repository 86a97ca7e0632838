/** The report's pictures of what was measured after each stage: shares and means of the families. */
import type { Measurement } from '../run/index.ts'
import { percent, significant } from '../terminal/index.ts'
import { colour, draw } from './chart.ts'
import type { Html } from './html.ts'
import { lossScale } from './loss-charts.ts'
import type { RunView, StageView } from './view.ts'
import { wilson } from './wilson.ts'

/** The axis of stages, of what is measured after each. */
const stageAxis = {
  field: 'stage',
  type: 'ordinal' as const,
  sort: null,
  title: null,
  scale: { padding: 0.4 },
  axis: { labelAngle: -35, labelLimit: 120, grid: false },
}

/** Shares between 0 and 1, in percent. */
export const shareScale = {
  type: 'quantitative' as const,
  scale: { domain: [0, 1] },
  axis: { labelExpr: 'format(100 * datum.value, "d") + " %"', tickCount: 5, title: null },
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
  const marks = (values: typeof own, of: 'own' | 'averaged') => [
    {
      data: { values },
      mark: { type: 'rule' as const, strokeWidth: 2, ...beside(of) },
      encoding: { x: stageAxis, y: { ...shareScale, field: 'low' }, y2: { field: 'high' } },
    },
    {
      data: { values },
      mark: { type: 'point' as const, filled: true, size: 60, opacity: 1, ...beside(of) },
      encoding: { x: stageAxis, y: { ...shareScale, field: 'share' } },
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
          encoding: { x: stageAxis, y: { ...shareScale, field: 'share' } },
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
