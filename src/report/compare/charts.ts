/**
 * Runs laid over each other: losses and learning rates of a stage, and shares with their intervals.
 *
 * @since 0.1.0
 */
import { percent, significant } from '../../terminal/index.ts'
import { draw } from '../chart.ts'
import { finite, type Point, smooth, spanOf, thin } from '../curve.ts'
import type { Html } from '../html.ts'
import { curve, decided, losses, lossScale, rateScale, stepAxis, stepsTo } from '../loss-charts.ts'
import { shareScale } from '../measure-charts.ts'
import type { StageView } from '../view.ts'
import { wilson } from '../wilson.ts'
import type { ComparedRun, ComparedStage } from './comparison.ts'

/** A run's part in a chart. */
interface Drawn {
  readonly run: ComparedRun
  readonly stage: StageView
}

/** The runs that took steps in a stage, by the unit of their loss: losses in two units share no axis. */
export const byUnit = (
  runs: readonly ComparedRun[],
  stage: ComparedStage,
): readonly (readonly [unit: string, drawn: readonly Drawn[]])[] => {
  const groups = new Map<string, Drawn[]>()
  for (const [i, s] of stage.of.entries()) {
    if (s === undefined || !s.taken.some((e) => Number.isFinite(e.loss))) continue
    groups.set(s.unit, [...(groups.get(s.unit) ?? []), { run: runs[i]!, stage: s }])
  }
  return [...groups]
}

/** The smoothed losses of several runs in one stage and, below them, their learning rates with what was decided of them. */
export const overlaid = (name: string, unit: string, drawn: readonly Drawn[], width = 260): Promise<Html> => {
  const last = Math.max(1, ...drawn.map((d) => d.stage.taken.at(-1)?.step ?? 1))
  const x = stepsTo(last)
  const above = { ...x, axis: { ...stepAxis, title: null, labels: false } }
  const raw = drawn.map((d) => finite(losses(d.stage)))
  const even = raw.map((points) => thin(smooth(points, spanOf(points)), 300))
  const rates = drawn.map((d) => finite(d.stage.taken.map((e) => ({ x: e.step, y: e.learningRate }))))
  const peak = rates.flat().reduce((a, p) => Math.max(a, p.y), 0)
  const y = { field: 'y', type: 'quantitative' as const, ...lossScale(even.flat(), [unit]) }
  const line = (points: readonly Point[], { colour, dash }: ComparedRun, strokeWidth: number) => ({
    ...curve(points, colour, strokeWidth),
    ...(dash.length === 0 ? {} : { strokeDash: [...dash] }),
  })
  return draw(
    {
      spacing: 26,
      bounds: 'flush',
      vconcat: [
        {
          width,
          height: width > 300 ? 220 : 150,
          layer: even.map((points, i) => ({
            data: { values: [...points] },
            mark: line(points, drawn[i]!.run, 2),
            encoding: { x: above, y },
          })),
        },
        {
          width,
          height: 60,
          layer: drawn.flatMap((d, i) => [
            {
              data: { values: [...thin(rates[i]!, 300)] },
              mark: line(rates[i]!, d.run, 1.5),
              encoding: { x: { ...x, axis: stepAxis }, y: rateScale(peak) },
            },
            ...decided(d.stage).map((mark) => ({
              data: { values: [{ x: mark.x, y: mark.y }] },
              mark: {
                type: 'point' as const,
                ...{ filled: true, opacity: 1, size: 45, shape: mark.mark.shape, color: d.run.colour },
              },
              encoding: { x: { ...x, axis: stepAxis }, y: rateScale(peak) },
            })),
          ]),
        },
      ],
    },
    `Smoothed loss and learning rate in stage ${name}: ${drawn
      .map(
        (d) =>
          `${d.run.label} ends at ${significant(d.stage.finished?.loss ?? d.stage.smoothLoss)} ${unit} after ${d.stage.step} steps`,
      )
      .join('; ')}.`,
  )
}

/** Shares of each family after a stage, a mark and an interval a run. */
export const sharesOf = (
  runs: readonly ComparedRun[],
  stage: ComparedStage,
  families: readonly string[],
): Promise<Html> => {
  const values = families.flatMap((family) =>
    stage.of.flatMap((s, i) => {
      const e = s?.evaluations.find((m) => m.family === family)
      if (e === undefined) return []
      const [low, high] = wilson(e.correct, e.total)
      return [{ family, run: runs[i]!.label, colour: runs[i]!.colour, share: e.correct / e.total, low, high }]
    }),
  )
  const encoding = {
    y: {
      field: 'family',
      type: 'ordinal' as const,
      sort: null,
      title: null,
      axis: { grid: false, labelLimit: 130, labelFontSize: 12, ticks: false, domain: false },
    },
    yOffset: { field: 'run', type: 'ordinal' as const, sort: null },
    color: { field: 'colour', type: 'nominal' as const, scale: null },
  }
  return draw(
    {
      width: 230,
      height: { step: Math.max(10, Math.min(16, 60 / runs.length)) },
      data: { values },
      layer: [
        {
          mark: { type: 'rule', strokeWidth: 2 },
          encoding: { ...encoding, x: { ...shareScale, field: 'low' }, x2: { field: 'high' } },
        },
        {
          mark: { type: 'point', filled: true, size: 55, opacity: 1 },
          encoding: { ...encoding, x: { ...shareScale, field: 'share' } },
        },
      ],
    },
    `Shares after ${stage.name}: ${values.map((v) => `${v.family}, ${v.run} ${percent(v.share)}`).join('; ')}.`,
  )
}
