/**
 * Small pictures of what a stage of reinforcement measures, all over its updates.
 *
 * @since 0.1.0
 */
import { percent, significant } from '../terminal/index.ts'
import { colour, draw, legend } from './chart.ts'
import { finite, type Point, thin, thinBand } from './curve.ts'
import { type Html, html } from './html.ts'
import { stepAxis, stepsTo } from './loss-charts.ts'

/** One line of a picture. */
export interface Series {
  readonly name: string
  readonly points: readonly Point[]
  /** How far values lie around the line. */
  readonly spread?: readonly number[]
}

/** A picture: `note` says what to look for. */
export interface Picture {
  readonly title: string
  readonly note: string
  readonly series: readonly Series[]
  /** Shares between 0 and 1, shown in percent, or other numbers. */
  readonly as: 'share' | 'number'
  /** The highest x. */
  readonly steps: number
}

/** The colours of lines, in their order. */
const inks = [
  ...[colour.strong, colour.second, colour.fourth, 'var(--run4)', 'var(--run5)', 'var(--run6)'],
  ...['var(--run7)', colour.third],
]

/** About as many points of a line as are drawn. */
const most = 160

const textOf = (as: Picture['as']) => (y: number) => (as === 'share' ? percent(y) : significant(y))

/** The last value of the first line, and the first where it is another. */
const course = ({ series, as }: Picture): string => {
  const show = textOf(as)
  const points = finite(series[0]?.points ?? [])
  const [first, last] = [points[0], points.at(-1)]
  if (first === undefined || last === undefined) return 'no number'
  return points.length === 1 || show(first.y) === show(last.y)
    ? show(last.y)
    : `${show(first.y)} → ${show(last.y)}`
}

const drawn = (p: Picture): Promise<Html> => {
  const x = { ...stepsTo(Math.max(1, p.steps)), axis: { ...stepAxis, title: 'update', tickCount: 4 } }
  let [low, high] = [0, p.as === 'share' ? 0.01 : 0]
  for (const s of p.series)
    s.points.forEach(({ y }, i) => {
      const by = s.spread?.[i] ?? 0
      if (Number.isFinite(y - by)) low = Math.min(low, y - by)
      if (Number.isFinite(y + by)) high = Math.max(high, y + by)
    })
  const y = {
    field: 'y',
    type: 'quantitative' as const,
    title: null,
    scale: {
      nice: true,
      zero: true,
      domain: [
        p.as === 'share' ? 0 : low,
        high === low ? low + 1 : p.as === 'share' ? Math.min(1, high) : high,
      ],
      clamp: true,
    },
    axis: {
      tickCount: 4,
      ...(p.as === 'share'
        ? { labelExpr: 'format(100 * datum.value, "~g") + " %"' }
        : {
            labelExpr:
              'datum.value !== 0 && abs(datum.value) < 1e-3 ? format(datum.value, ".2~e") : format(datum.value, ".3~r")',
          }),
    },
  }
  return draw(
    {
      width: 260,
      height: 105,
      layer: p.series.flatMap((s, i) => {
        const ink = inks[i % inks.length]!
        const points = finite(s.points)
        const line = {
          data: { values: [...thin(points, most)] },
          mark:
            points.length < 9
              ? {
                  type: 'line' as const,
                  color: ink,
                  strokeWidth: 1.8,
                  point: { filled: true, color: ink, size: 22 },
                }
              : { type: 'line' as const, color: ink, strokeWidth: 1.8 },
          encoding: { x, y },
        }
        if (s.spread === undefined) return [line]
        const band = s.points.flatMap((q, n) => {
          const by = s.spread?.[n] ?? Number.NaN
          return Number.isFinite(q.y) && Number.isFinite(by) ? [{ x: q.x, y: q.y - by, high: q.y + by }] : []
        })
        return [
          {
            data: { values: [...thinBand(band, most)] },
            mark: { type: 'area' as const, color: ink, opacity: 0.15 },
            encoding: { x, y, y2: { field: 'high' } },
          },
          line,
        ]
      }),
    },
    `${p.title}: ${p.series
      .map((s) => `${s.name} ${course({ ...p, series: [s] })}`)
      .join('; ')}, over ${p.steps} updates.`,
  )
}

/** A picture with its title, the course of its first line, what its lines are and what to look for; nothing where it has no point. */
export const picture = async (p: Picture): Promise<Html | undefined> => {
  if (p.series.every((s) => finite(s.points).length === 0)) return undefined
  const keys = p.series.map((s, i) => ({ name: s.name, colour: inks[i % inks.length]! }))
  return html`<figure class="chart"><h4>${p.title} <span class="course">${p.series.length === 1 && course(p)}</span></h4>${await drawn(p)}${
    p.series.length > 1 && legend('line', keys)
  }<figcaption>${p.note}</figcaption></figure>
`
}
