/**
 * Loss and learning rate of every stage.
 *
 * @since 0.1.0
 */
import { batchText } from '../../run/index.ts'
import { begunWith, grouped, keptOf, rate, significant } from '../../terminal/index.ts'
import { colour, legend } from '../chart.ts'
import { type Html, html, htmlTable, type Part } from '../html.ts'
import { decisionMarks, lossOverview, stageCurves } from '../loss-charts.ts'
import type { RunView, StageView } from '../view.ts'

const notNumbers = (s: StageView): number => s.taken.filter((e) => !Number.isFinite(e.loss)).length

const keys = (units: readonly string[]) => [
  {
    name: `loss of each step (${units.length === 1 ? units[0] : 'in the unit of its stage'})`,
    colour: colour.faint,
  },
  { name: 'smoothed', colour: colour.strong },
  { name: 'learning rate', colour: colour.second },
]

const outcomes = {
  Watched: 'watched',
  Tried: 'tried',
  Kept: 'kept',
  Left: 'left',
  RolledBack: 'rolled back',
} as const

/** What the search for a stage's learning rate decided; windows from which nothing followed are counted alone. */
const search = (s: StageView): Part => {
  const told = s.decisions.filter((d) => d.decision !== 'Watched')
  if (s.decisions.length === 0) return false
  const watched = s.decisions.length - told.length
  const marks = decisionMarks.filter((m) => told.some((d) => d.decision === m.decision))
  const velocity = (v: number | null | undefined): string => (v === null || v === undefined ? '–' : rate(v))
  return html`${legend('mark', marks)}<details><summary>The search for the learning rate (AdaLRS): ${grouped(told.length)} ${told.length === 1 ? 'decision' : 'decisions'}, ${grouped(watched)} ${watched === 1 ? 'window' : 'windows'} watched</summary>
${htmlTable(
  `Decisions in ${s.stage}; velocity: by how much the loss falls, a step; a trial is faster or slower beyond twice the error`,
  [
    { head: 'step', number: true },
    { head: 'decision' },
    { head: 'factor', number: true },
    { head: 'velocity', number: true },
    { head: 'compared with', number: true },
    { head: 'error', number: true },
  ],
  told.map((d) => [
    grouped(d.step),
    `${outcomes[d.decision]}${d.why === undefined ? '' : ` (${d.why})`}`,
    significant(d.scale),
    velocity(d.velocity),
    velocity(d.against),
    velocity(d.error),
  ]),
)}</details>`
}

/** The curves: stages in a row, those of each unit together, then each by itself. */
export const learning = async (view: RunView): Promise<Html> => {
  const stages = view.stages.filter((s) => s.taken.some((e) => Number.isFinite(e.loss)))
  if (stages.length === 0) return html`<p>No step was taken.</p>`
  const units = [...new Set(stages.map((s) => s.unit))]
  const alike = units.map((unit) => stages.filter((s) => s.unit === unit)).filter((some) => some.length > 1)
  const overviews = await Promise.all(alike.map(async (some) => ({ some, chart: await lossOverview(some) })))
  const each = await Promise.all(stages.map(async (s) => ({ s, chart: await stageCurves(s) })))
  return html`${legend('line', keys(units))}
${overviews.map(
  ({ some, chart }) =>
    html`<figure class="chart">${chart}<figcaption>${some.length === stages.length ? 'All stages' : `The stages whose loss is in ${some[0]!.unit}`}, one after another: ${some.map((s) => `${s.index + 1}.\u00a0${s.stage}`).join(', ')}.</figcaption></figure>
`,
)}<div class="grid">${each.map(
    ({ s, chart }) => html`<figure class="chart"><h3>${s.index + 1}. ${s.stage}</h3>${chart}
<figcaption>${grouped(s.step)}${s.step < s.steps && ` of ${grouped(s.steps)}`} ${Math.max(s.step, s.steps) === 1 ? 'step' : 'steps'} of ${batchText(s)}${s.packed !== undefined && `, ${significant(s.samples / s.step)} samples on average`}; trains ${s.parts.join(', ')}${s.weights !== undefined && `; begins with ${begunWith(s.weights)}`}${s.curated !== undefined && `; made its examples first: ${keptOf(s.curated)}`}; ${Number.isNaN(s.finished?.loss) ? 'no update at its end' : `loss at the end ${significant(s.finished?.loss ?? s.smoothLoss)} ${s.unit}`}${
      notNumbers(s) > 0 &&
      html`. <b>In ${grouped(notNumbers(s))} ${notNumbers(s) === 1 ? 'step' : 'steps'} the loss was not a finite number; they are not drawn.</b>`
    }</figcaption>${search(s)}</figure>
`,
  )}</div>`
}
