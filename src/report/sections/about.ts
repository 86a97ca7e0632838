/**
 * What ran, and what came out in one glance.
 *
 * @since 0.1.0
 */
import { isDeepStrictEqual } from 'node:util'
import type { Manifest, Measurement } from '../../run/index.ts'
import { duration, grouped, percent, short, significant } from '../../terminal/index.ts'
import { type Html, html, htmlTable, type Part, tile } from '../html.ts'
import { folded, foldedLines, inWords, isObject, words } from '../plain-data.ts'
import { measuredOf, nothingEvaluated, type RunView } from '../view.ts'
import { wilson } from '../wilson.ts'

/** The title, whether the run ended, and the last stage's accuracies. */
export const heading = (manifest: Manifest, view: RunView): Html => {
  const { finished, failed } = view.state
  const done = view.stages.filter((s) => s.finished !== undefined).length
  // a run that was gone on with says only how long its last start took
  const inStages = view.stages.reduce(
    (a, s) => a + (s.finished === undefined ? 0 : s.finished.trainSeconds + s.finished.evaluateSeconds),
    0,
  )
  const of = view.stages[0]?.of ?? 0
  const status =
    finished !== undefined
      ? html`<span class="status right">✓ finished in ${duration(Math.max(finished.seconds, inStages))}</span>`
      : failed !== undefined
        ? html`<span class="status wrong">✗ stopped on an error</span>`
        : html`<span class="status">not finished: ${done} of ${of} stages are done</span>`
  return html`<h1>${manifest.name}</h1>
<p class="lead">${manifest.model.name}, ${short(manifest.model.parameters)} parameters, begun <time datetime="${manifest.startedAt}">${day(manifest.startedAt)}</time></p>
<p>${status}</p>
${manifest.quick === true && html`<p class="note" role="note"><strong>A short pass (--quick).</strong> It shows that everything works, and is far too short to learn: its accuracies say nothing about the recipe.</p>`}
${failed !== undefined && html`<p class="failure" role="alert">${failed.message}</p>`}
${
  view.state.warnings.length > 0 &&
  html`<ul class="warnings" aria-label="What to know of this run">${view.state.warnings.map((w) => html`<li>${w}</li>`)}</ul>`
}
${headlines(view)}`
}

const day = (iso: string): string => iso.replace('T', ' at ').replace(/(:\d\d)(\.\d+)?Z$/, '$1 UTC')

/** What the last stage that was measured came to: a tile a family. */
const headlines = (view: RunView): Part => {
  const last = view.stages.findLast((s) => s.evaluations.length + s.measures.length > 0)
  if (last === undefined) return html`${rewards(view)}<p>${nothingEvaluated(view)}</p>`
  const measured = (family: string): Part => {
    const m = measuredOf(last, family)
    const averaged = last.averaged.find((x) => x.family === family)
    return (
      m !== undefined &&
      tile(
        family,
        figure(m),
        html`${aside(m)}${averaged !== undefined && html`<br>averaged weights ${figure(averaged)}`}`,
      )
    )
  }
  return html`<ul class="tiles" aria-label="Held-out samples after stage ${last.stage}">
${view.families.map(measured)}</ul>
<p class="note">${[
    last.evaluations.length > 0 && 'Shares of right answers, with the 95 % interval (Wilson)',
    last.measures.length > 0 && 'means in their unit',
  ]
    .filter((t) => t !== false)
    .join(', and ')}, on held-out samples after stage ${last.stage}.</p>`
}

/** Of a run that measures nothing after its stages: what each stage of reinforcement made of its reward. */
const rewards = (view: RunView): Part => {
  // where nothing was judged there is no mean
  const judged = <A extends { readonly rewards: { readonly count: number } }>(all: readonly A[]) =>
    all.filter((x) => x.rewards.count > 0)
  const stages = view.stages
    .map(({ stage, episodes, validations }) => ({
      ...{ stage, episodes: judged(episodes), validations: judged(validations) },
    }))
    .filter((s) => s.episodes.length > 0)
  if (stages.length === 0) return false
  return html`<ul class="tiles" aria-label="Rewards of the stages of reinforcement">
${stages.map((s) => {
  const of = s.validations.length > 1 ? s.validations : s.episodes
  const [first, last] = [of[0]!.rewards.mean, of.at(-1)!.rewards.mean]
  return tile(
    `reward of ${s.stage}`,
    significant(last),
    `${s.validations.length > 1 ? 'on held-out tasks' : 'on the tasks that it learns from'}, ${of.length === 1 ? 'in one episode' : `${significant(first)} at first`}`,
  )
})}</ul>`
}

const figure = (m: Measurement): Html =>
  m.type === 'measured'
    ? html`${significant(m.value)}`
    : html`${percent(m.correct / m.total).replace(' %', '')}<small> %</small>`

const aside = (m: Measurement): Html => {
  if (m.type === 'measured') return html`${m.unit}, over ${grouped(m.weight)}`
  const [low, high] = wilson(m.correct, m.total)
  return html`${grouped(m.correct)} of ${grouped(m.total)} right<br>${percent(low).replace(' %', '')} to ${percent(high)}`
}

/** Versions, engine, seed, command and the recipe. */
export const whatRan = (manifest: Manifest): Html => html`<dl class="facts">
<dt>command</dt><dd><code>${manifest.command}</code></dd>
<dt>experiment</dt><dd><code>${manifest.file}</code></dd>
${manifest.forked !== undefined && html`<dt>begun from</dt><dd>${manifest.forked.run}, step ${manifest.forked.step} of stage ${manifest.forked.stage}: ${manifest.forked.taken}</dd>`}
<dt>seed</dt><dd>${manifest.seed}</dd>
<dt>engine</dt><dd>${manifest.engine.name}: ${manifest.engine.version}<br><span class="note">${manifest.engine.why}</span></dd>
<dt>versions</dt><dd>Sailwright ${manifest.sailwright}, Node ${manifest.node}, ${manifest.platform}, ${manifest.cores} ${manifest.cores === 1 ? 'core' : 'cores'}</dd>
<dt>code</dt><dd>${code(manifest.code)}</dd>
</dl>
${recipe(manifest.recipe)}`

/** The files and the beginnings of their checksums; many are folded away. */
const code = (files: Manifest['code']): Html => {
  const list = files.map(
    ({ file, sha256 }, i) =>
      html`${i > 0 && html`<br>`}<code>${file}</code> <code class="note" title="${sha256}">${sha256.slice(0, 12)}</code>`,
  )
  return files.length > 6
    ? html`<details><summary>${files.length} files and their checksums</summary>${list}</details>`
    : html`${list}`
}

const recipe = (value: unknown): Html => {
  const stages = stageList(value)
  const rest = isObject(value) ? Object.entries(value).filter(([, v]) => v !== stages?.list) : []
  return html`${
    rest.length > 0 &&
    html`<dl class="facts">${rest.map(([k, v]) => html`<dt>${words(k)}</dt><dd>${folded(v)}</dd>`)}</dl>`
  }${stages !== undefined && recipeTable(stages.list)}${
    !isObject(value) &&
    stages === undefined &&
    value !== null &&
    value !== undefined &&
    html`<p>${inWords(value)}</p>`
  }`
}

/** The recipe's stages: the value itself, its member `stages`, or its first member that is a list of objects. */
const stageList = (value: unknown): { readonly list: readonly Record<string, unknown>[] } | undefined => {
  const lists = Array.isArray(value)
    ? [value]
    : isObject(value)
      ? [value.stages, ...Object.values(value)]
      : []
  const list = lists.find((v) => Array.isArray(v) && v.length > 0 && v.every(isObject))
  return list === undefined ? undefined : { list: list as readonly Record<string, unknown>[] }
}

/**
 * One column a stage, one row a setting: recipes have few stages and many settings. What is the same in every stage is said
 * once, folded away.
 */
const recipeTable = (stages: readonly Record<string, unknown>[]): Html => {
  const label = ['stage', 'name'].find((k) => stages.every((s) => typeof s[k] === 'string'))
  const all = [...new Set(stages.flatMap((s) => Object.keys(s)))].filter((k) => k !== label)
  const isShared = (k: string): boolean =>
    stages.length > 1 && stages.every((s) => isDeepStrictEqual(s[k], stages[0]![k]))
  const [shared, rows] = [all.filter(isShared), all.filter((k) => !isShared(k))]
  const table = htmlTable(
    'The recipe: a column a stage',
    [
      { head: 'setting' },
      ...stages.map((s, i) => ({ head: label === undefined ? `stage ${i + 1}` : String(s[label]) })),
    ],
    rows.map((k) => [words(k), ...stages.map((s) => foldedLines(s[k]))]),
  )
  return html`${table}${
    shared.length > 0 &&
    html`<details><summary>The same in every stage: ${shared.map(words).join(', ')}</summary>
<dl class="facts">${shared.map((k) => html`<dt>${words(k)}</dt><dd>${foldedLines(stages[0]![k])}</dd>`)}</dl></details>`
  }`
}
