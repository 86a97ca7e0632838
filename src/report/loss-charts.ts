/** The report's pictures of training: losses, learning rates, what a search for them decided. */
import { rate, significant } from '../terminal/index.ts'
import { atWidths, colour, draw } from './chart.ts'
import { finite, logTicks, type Point, smooth, spanOf, thin, wantsLog } from './curve.ts'
import type { Html } from './html.ts'
import { placeLabels } from './labels.ts'
import type { StageView } from './view.ts'

export const losses = (s: StageView): readonly Point[] => s.taken.map((e) => ({ x: e.step, y: e.loss }))
const shifted = (points: readonly Point[], by: number): readonly Point[] =>
  points.map((p) => ({ x: p.x + by, y: p.y }))
/** Steps from the first to the last, along a picture. */
export const stepsTo = (last: number) => ({
  field: 'x',
  type: 'quantitative' as const,
  scale: { nice: false, domain: [0, last] },
})
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
      axis: {
        tickCount: 5,
        // a policy's first losses are rounding alone
        labelExpr:
          'datum.value === 0 ? "0" : abs(datum.value) < 1e-3 || abs(datum.value) >= 1e6 ? format(datum.value, ".2~e") : datum.label',
      },
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

/** The loss over stages, one after another, with the stages' borders and as many of their names as have room. */
export const lossOverview = async (stages: readonly StageView[]): Promise<Html> =>
  atWidths(await overview(stages, 880, 220, 240), await overview(stages, 290, 180, 120))

const overview = (
  stages: readonly StageView[],
  width: number,
  height: number,
  most: number,
): Promise<Html> => {
  let before = 0
  const parts = stages.map((s) => {
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
  const x = { ...stepsTo(all), axis: { ...stepAxis, tickCount: width / 80 } }
  const y = {
    field: 'y',
    type: 'quantitative' as const,
    ...lossScale(
      parts.flatMap((p) => p.raw),
      stages.map((s) => s.unit),
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
    `Loss over ${stages.length} stages: ${stages
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
  // as long as the axis: a longer title would make the picture taller
  title: 'rate',
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
  const x = stepsTo(Math.max(1, s.taken.at(-1)?.step ?? 1))
  const above = { ...x, axis: { ...stepAxis, title: null, labels: false } }
  // the unit stands below; a title longer than the axis would make the picture taller
  const y = { field: 'y', type: 'quantitative' as const, ...lossScale(raw, []) }
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
