/**
 * Accuracy by family and stage, with counts and intervals.
 *
 * @since 0.1.0
 */
import { grouped, percent } from '../../terminal/index.ts'
import { familyChart } from '../charts.ts'
import { type Html, html, htmlTable } from '../html.ts'
import type { RunView } from '../view.ts'
import { wilson } from '../wilson.ts'

/** A chart a family and the whole table. */
export const accuracy = async (view: RunView): Promise<Html> => {
  const measured = view.stages.filter((s) => s.evaluations.length > 0)
  const families = view.families.filter((f) =>
    measured.some((s) => s.evaluations.some((e) => e.family === f)),
  )
  if (families.length === 0) return html`<p>Nothing was evaluated yet.</p>`
  const charts = await Promise.all(families.map((f) => familyChart(view, f)))
  return html`<p class="note">The share of exactly right answers on held-out samples after each stage; the bars are 95 % intervals (Wilson).</p>
<div class="grid small">${families.map((f, i) => html`<figure class="chart"><h3>${f}</h3>${charts[i]}</figure>`)}</div>
${htmlTable(
  'Right answers of samples asked, and the 95 % interval',
  [{ head: 'stage' }, ...families.map((head) => ({ head, number: true }))],
  measured.map((s) => [
    s.stage,
    ...families.map((f) => {
      const e = s.evaluations.find((x) => x.family === f)
      if (e === undefined) return '–'
      const [low, high] = wilson(e.correct, e.total)
      return html`${percent(e.correct / e.total)}<br><small>${grouped(e.correct)} of ${grouped(e.total)}</small><br><small>${percent(low).replace(' %', '')} to ${percent(high)}</small>`
    }),
  ]),
)}`
}
