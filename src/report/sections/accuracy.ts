/**
 * What was measured on held-out samples, by family and stage: shares with counts and intervals, and means in a unit, such
 * as losses. Where a stage keeps moving averages of its weights, theirs stand beside its own.
 *
 * @since 0.1.0
 */
import type { Measurement } from '../../run/index.ts'
import { grouped, percent, significant } from '../../terminal/index.ts'
import { colour, legend } from '../chart.ts'
import { gainMark, gainOf } from '../gain.ts'
import { type Html, html, htmlTable, type Part } from '../html.ts'
import { familyChart, measureChart } from '../measure-charts.ts'
import { nothingEvaluated, type RunView, type StageView } from '../view.ts'
import { wilson } from '../wilson.ts'

/** A share with its counts and its interval, or a mean with its unit, in a cell. */
export const measurementCell = (m: Measurement): Html => {
  if (m.type === 'measured')
    return html`${significant(m.value)}<br><small>${m.unit}</small><br><small>over ${grouped(m.weight)}</small>`
  const [low, high] = wilson(m.correct, m.total)
  return html`${percent(m.correct / m.total)}<br><small>${grouped(m.correct)} of ${grouped(m.total)}</small><br><small>${percent(low).replace(' %', '')} to ${percent(high)}</small>`
}

/** A column for each family and, where some stage has them, one more for the averaged weights. */
const table = (
  caption: string,
  stages: readonly StageView[],
  families: readonly string[],
  of: (s: StageView) => readonly Measurement[],
): Html => {
  const columns = families.flatMap((family) => [
    { family, head: family, of },
    ...(stages.some((s) => s.averaged.some((m) => m.family === family))
      ? [{ family, head: `${family}, averaged weights`, of: (s: StageView) => s.averaged }]
      : []),
  ])
  return htmlTable(
    caption,
    [{ head: 'stage' }, ...columns.map(({ head }) => ({ head, number: true }))],
    stages.map((s, i): readonly Part[] => [
      s.stage,
      ...columns.map((c) => {
        const own = (stage: StageView) => c.of(stage).find((x) => x.family === c.family)
        const m = own(s)
        if (m === undefined) return '–'
        const before = stages.slice(0, i).findLast((stage) => own(stage) !== undefined)
        const gain = before === undefined ? undefined : gainOf(own(before), m)
        return gain === undefined
          ? measurementCell(m)
          : html`${measurementCell(m)}<br>${gainMark(gain, m.type)}`
      }),
    ]),
  )
}

const figures = async (
  families: readonly string[],
  chart: (family: string) => Promise<Html>,
): Promise<Html> => {
  const charts = await Promise.all(families.map(chart))
  return html`<div class="grid small">${families.map((f, i) => html`<figure class="chart"><h3>${f}</h3>${charts[i]}</figure>`)}</div>`
}

/** Of a stage that left other weights beside its own, such as a soup its runs: what they came to, its own first. */
const others = (s: StageView, families: readonly string[]): Html | false => {
  if (s.beside.length === 0) return false
  const rows: readonly (readonly [string, readonly Measurement[]])[] = [
    [s.stage, [...s.evaluations, ...s.measures]],
    ...[...new Set(s.beside.map((m) => m.weights))].map(
      (w) => [w, s.beside.filter((m) => m.weights === w)] as const,
    ),
  ]
  const shown = families.filter((f) => s.beside.some((m) => m.family === f))
  return htmlTable(
    `${s.stage} beside the weights that it was made of and compared with`,
    [{ head: 'weights' }, ...shown.map((head) => ({ head, number: true }))],
    rows.map(([name, of]): readonly Part[] => [
      name,
      ...shown.map((f) => {
        const m = of.find((x) => x.family === f)
        return m === undefined ? '–' : measurementCell(m)
      }),
    ]),
  )
}

/** A chart a family, and tables. */
export const accuracy = async (view: RunView): Promise<Html> => {
  const shared = view.stages.filter((s) => s.evaluations.length > 0)
  const meant = view.stages.filter((s) => s.measures.length > 0)
  const shares = view.families.filter((f) => shared.some((s) => s.evaluations.some((e) => e.family === f)))
  const means = view.families.filter((f) => meant.some((s) => s.measures.some((m) => m.family === f)))
  if (shares.length + means.length === 0) return html`<p>${nothingEvaluated(view)}</p>`
  const hasAverages = view.stages.some((s) => s.averaged.length > 0)
  return html`${
    hasAverages &&
    legend('box', [
      { name: 'the weights of the stage', colour: colour.strong },
      { name: 'their moving averages', colour: colour.second },
    ])
  }${
    shares.length > 0 &&
    html`<p class="note">The share of right answers on held-out samples after each stage; the bars are 95 % intervals (Wilson).${shared.length > 1 && ' ▲ and ▼ in the table: over the stage before that measured the same, in colour where the 95 % interval of the difference is without 0.'}</p>
${await figures(shares, (f) => familyChart(view, f))}
${table('Right answers of samples asked, the 95 % interval, the gain', shared, shares, (s) => s.evaluations)}`
  }${view.stages.map((s) => others(s, view.families))}${
    means.length > 0 &&
    html`<p class="note">Means on held-out samples after each stage${meant.length > 1 && ', and ▲ or ▼ since the stage before'}.</p>
${await figures(means, (f) => measureChart(view, f))}
${table('Means on held-out samples, what they are over, the change', meant, means, (s) => s.measures)}`
  }`
}
