/**
 * Several runs on one page: what differs between them first, then their curves, what was measured, and their times.
 *
 * @since 0.1.0
 */
import { realpathSync } from 'node:fs'
import { resolve } from 'node:path'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { type FileError, fileError, type RecordedRun, readRun, writeWhole } from '../../run/index.ts'
import { duration, grouped, percent, significant } from '../../terminal/index.ts'
import { atWidths, legend } from '../chart.ts'
import { breakable, type Html, html, htmlTable, type Part } from '../html.ts'
import { page } from '../page.ts'
import { inWords, isObject } from '../plain-data.ts'
import { measurementCell } from '../sections/accuracy.ts'
import { measuredOf } from '../view.ts'
import { wilsonDifference } from '../wilson.ts'
import { byUnit, overlaid, sharesOf } from './charts.ts'
import { type ComparedStage, type Comparison, compare, type SettingRow } from './comparison.ts'

/** A value in a cell; long data is folded away, and what a run lacks is a dash. */
const valueCell = (value: unknown): Part => {
  if (value === undefined) return '–'
  const text = inWords(value)
  if (text.length <= 60) return text
  return html`<details><summary>${isObject(value) && typeof value.kind === 'string' ? value.kind : `${text.slice(0, 40)}…`}</summary>${text}</details>`
}

const heads = (c: Comparison) => c.runs.map((r) => ({ head: r.label }))

const settingsTable = (c: Comparison, caption: string, rows: readonly SettingRow[]): Part =>
  rows.length > 0 &&
  htmlTable(
    caption,
    [{ head: 'setting' }, ...heads(c)],
    rows.map((r) => [html`<code>${breakable(r.path)}</code>`, ...r.values.map(valueCell)]),
  )

const status = (run: Comparison['runs'][number]): string => {
  const { finished, failed } = run.view.state
  const done = run.view.stages.filter((s) => s.finished !== undefined).length
  if (finished !== undefined) return 'finished'
  if (failed !== undefined) return `stopped on an error: ${failed.message}`
  return `not finished: ${done} of ${run.view.stages[0]?.of ?? 0} stages are done`
}

const differences = (c: Comparison): Html => html`${
  c.settings.length === 0
    ? html`<p>All settings are the same.</p>`
    : settingsTable(c, 'Settings that differ', c.settings)
}${settingsTable(c, 'What carried them out, where it differs', c.surroundings)}
${htmlTable(
  'The runs',
  [{ head: 'run' }, { head: 'experiment' }, { head: 'begun' }, { head: 'how it stands' }, { head: 'folder' }],
  c.runs.map((r) => [
    r.label,
    r.run.manifest.name,
    r.run.manifest.startedAt.slice(0, 16).replace('T', ' '),
    html`${status(r)}${r.run.manifest.quick === true && html`<br><small>a short pass (--quick)</small>`}${r.view.state.warnings.map((w) => html`<br><small>${w}</small>`)}`,
    html`<code>${r.run.folder}</code>`,
  ]),
)}`

const curves = async (c: Comparison): Promise<Html> => {
  const charts = c.stages.flatMap((stage) =>
    byUnit(c.runs, stage).map(([unit, drawn], _, all) => ({ stage, unit, drawn, mixed: all.length > 1 })),
  )
  if (charts.length === 0) return html`<p>No run has taken a step yet.</p>`
  const alone = charts.length === 1
  const drawn = await Promise.all(
    charts.map(async ({ stage, unit, drawn }) =>
      alone
        ? atWidths(await overlaid(stage.name, unit, drawn, 860), await overlaid(stage.name, unit, drawn))
        : overlaid(stage.name, unit, drawn),
    ),
  )
  const lacking = (stage: ComparedStage): readonly string[] =>
    c.runs.filter((_, i) => stage.of[i] === undefined).map((r) => r.label)
  return html`<div class="${alone ? 'one' : 'grid'}">${charts.map(
    ({ stage, unit, mixed }, i) => html`<figure class="chart"><h3>${stage.name}</h3>${drawn[i]}
<figcaption>Smoothed loss in ${unit}${mixed && '; the runs count it in several units, a chart each'}, and the learning rate${
      lacking(stage).length > 0 && `. Without such a stage: ${lacking(stage).join(', ')}`
    }.</figcaption></figure>
`,
  )}</div>
${htmlTable(
  'Loss at the end of each stage, the mean over its last tenth',
  [{ head: 'stage' }, ...c.runs.map((r) => ({ head: r.label, number: true }))],
  c.stages.map((stage) => [
    stage.name,
    ...stage.of.map((s, i): Part => {
      if (s === undefined) return '–'
      const loss = s.finished?.loss ?? s.smoothLoss
      const first = stage.of[0]
      const before = first?.finished?.loss
      const compared =
        i > 0 &&
        first !== undefined &&
        before !== undefined &&
        s.finished !== undefined &&
        s.unit === first.unit
      return html`${significant(loss)}<br><small>${s.unit}</small>${
        compared && html`<br><small>${signed(loss - before, significant)} to ${c.runs[0]!.label}</small>`
      }${s.finished === undefined && html`<br><small>after ${grouped(s.step)} of ${grouped(s.steps)} steps</small>`}`
    }),
  ]),
)}`
}

const signed = (x: number, show: (x: number) => string): string => `${x < 0 ? '−' : '+'}${show(Math.abs(x))}`

/** What was measured after one stage: a chart of shares, and a row a family. */
const measured = async (c: Comparison, stage: ComparedStage): Promise<Part> => {
  const of = (family: string) => stage.of.map((s) => s && measuredOf(s, family))
  const order = [...new Set(c.runs.flatMap((r) => r.view.families))]
  const families = order.filter((f) => of(f).some((m) => m !== undefined))
  if (families.length === 0) return false
  const shares = families.filter((f) => of(f).some((m) => m?.type === 'evaluated'))
  const chart = shares.length === 0 ? undefined : await sharesOf(c.runs, stage, shares)
  const twoOf = c.runs.length === 2 && shares.length > 0
  const difference = (family: string): Part => {
    const [a, b] = of(family)
    if (a?.type !== 'evaluated' || b?.type !== 'evaluated' || a.total === 0 || b.total === 0) return '–'
    const d = wilsonDifference(a, b)
    const points = (x: number): string => (100 * x).toFixed(1)
    return html`${signed(d.difference, points)} points<br><small>${signed(d.low, points)} to ${signed(d.high, points)}</small>`
  }
  return html`<h3>after ${stage.name}</h3>
${chart !== undefined && html`<div class="grid"><figure class="chart">${chart}</figure></div>`}
${htmlTable(
  `Held-out samples after ${stage.name}`,
  [
    { head: 'family' },
    ...c.runs.map((r) => ({ head: r.label, number: true })),
    ...(twoOf ? [{ head: 'difference', number: true }] : []),
  ],
  families.map((family) => [
    family,
    ...of(family).map((m, i): Part => {
      const averaged = stage.of[i]?.averaged.find((a) => a.family === family)
      return m === undefined
        ? '–'
        : html`${measurementCell(m)}${
            averaged !== undefined &&
            html`<br><small>averaged weights ${averaged.type === 'measured' ? significant(averaged.value) : percent(averaged.correct / averaged.total)}</small>`
          }`
    }),
    ...(twoOf ? [difference(family)] : []),
  ]),
)}`
}

const accuracies = async (c: Comparison): Promise<Html> => {
  const each = (await Promise.all(c.stages.map((s) => measured(c, s)))).filter((p) => p !== false)
  if (each.length === 0) return html`<p>Nothing was evaluated yet.</p>`
  return html`<p class="note">Shares of right answers with their 95 % intervals (Wilson)${
    c.runs.length === 2 &&
    '; the difference with its interval (Newcombe), which takes the samples of the two runs as independent'
  }.</p>${each}`
}

const times = (c: Comparison): Html =>
  htmlTable(
    'Training time and samples a second, by stage',
    [{ head: 'stage' }, ...c.runs.map((r) => ({ head: r.label, number: true }))],
    c.stages.map((stage) => [
      stage.name,
      ...stage.of.map((s): Part => {
        if (s === undefined) return '–'
        const seconds = s.finished?.trainSeconds ?? s.seconds
        const samples = s.finished?.samples ?? s.samples
        return html`${duration(seconds)}<br><small>${grouped(samples)} samples${seconds > 0 && `, ${significant(samples / seconds)}/s`}</small>`
      }),
    ]),
  )

/** The page of several runs. */
export const renderComparison = async (runs: readonly RecordedRun[]): Promise<string> => {
  const c = compare(runs)
  const [drawn, shares] = await Promise.all([curves(c), accuracies(c)])
  return page({
    title: `${c.runs.map((r) => r.label).join(', ')}: Sailwright runs compared`,
    header: html`<h1>${c.runs.length} runs compared</h1>
${legend(
  'line',
  c.runs.map((r) => ({ name: r.label, colour: r.colour })),
)}`,
    sections: [
      ['differences', 'What differs', differences(c)],
      ['curves', 'How they learned', drawn],
      ['measured', 'What was measured', shares],
      ['times', 'How long they took', times(c)],
    ],
    footer: html`<p>Written by Sailwright from the manifests and events of ${c.runs.length} runs. Stages are met by their names.</p>`,
  })
}

/** The folder that a path leads to, whatever links are on the way. */
const real = (folder: string): string => {
  try {
    return realpathSync(folder)
  } catch {
    return resolve(folder)
  }
}

/**
 * Reads several runs and writes one page about them to `path`, by rename. Gives the path. Runs that go on or failed may be
 * among them.
 *
 * Fails with `Twice` where two of the folders are one, as {@link readRun} does, or with `Io`.
 *
 * @category writing
 */
export const writeComparison = (
  folders: readonly string[],
  path: string,
): TE.TaskEither<FileError | { readonly _tag: 'Twice'; readonly message: string }, string> => {
  const places = folders.map(real)
  const twice = places.findIndex((p, i) => places.indexOf(p) < i)
  if (twice >= 0)
    return TE.left({
      _tag: 'Twice',
      message: `${folders[twice]} is the same run as ${folders[places.indexOf(places[twice]!)]}; name different runs`,
    })
  return pipe(
    TE.traverseSeqArray(readRun)(folders),
    TE.chain((runs) =>
      TE.tryCatch(
        () => renderComparison(runs),
        (e): FileError =>
          fileError(
            'BadFile',
            { file: path },
            `the comparison could not be drawn: ${e instanceof Error ? e.message : String(e)}`,
            e,
          ),
      ),
    ),
    TE.chainFirst((text) => writeWhole(path, text)),
    TE.map(() => path),
  )
}
