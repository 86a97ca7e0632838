/**
 * Where the time went.
 *
 * @since 0.1.0
 */
import { duration, grouped, percent, significant } from '../../terminal/index.ts'
import { legend } from '../chart.ts'
import { type Html, html, htmlTable } from '../html.ts'
import { stageTimes, timeChart, timeKinds } from '../time-charts.ts'
import type { RunView } from '../view.ts'

/** Stacked bars and their table. */
export const time = async (view: RunView): Promise<Html> => {
  const times = stageTimes(view)
  const sum = (t: (typeof times)[number]): number => timeKinds.reduce((a, k) => a + t[k.key], 0)
  const total = times.reduce((a, t) => a + sum(t), 0)
  if (total === 0) return html`<p>No step was taken.</p>`
  const chart = await timeChart(times)
  const run = view.state.finished?.seconds
  const outside = run === undefined ? 0 : run - total
  return html`${legend('box', timeKinds)}
<figure class="chart">${chart}</figure>
${htmlTable(
  'Time by stage, and what was done in it',
  [
    { head: 'stage' },
    ...timeKinds.map((k) => ({ head: k.name, number: true })),
    { head: 'together', number: true },
    { head: 'samples', number: true },
    { head: 'samples/s in training', number: true },
  ],
  view.stages.map((s, i) => {
    const t = times[i]!
    const training = t.data + t.compute + t.other
    const samples = s.finished?.samples ?? s.samples
    return [
      s.stage,
      ...timeKinds.map((k) => duration(t[k.key])),
      duration(sum(t)),
      grouped(samples),
      training > 0 ? significant(samples / training) : '–',
    ]
  }),
)}
<p class="note">Of all that time, ${timeKinds.map(
    (k, i) => `${i > 0 ? ', ' : ''}${percent(times.reduce((a, t) => a + t[k.key], 0) / total)} ${k.name}`,
  )}.${outside > 0.5 && ` Another ${duration(outside)} went into what lies outside the stages: preparing, compiling, writing checkpoints.`}</p>`
}
