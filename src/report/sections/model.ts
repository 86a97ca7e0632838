/**
 * The model: its picture and its summary table.
 *
 * @since 0.1.0
 */
import type { Manifest } from '../../run/index.ts'
import { grouped, short } from '../../terminal/index.ts'
import { breakable, type Html, html, htmlTable } from '../html.ts'
import { inLines, isObject, words } from '../plain-data.ts'

/** What the model was built from: a table for each of its parts, a row a setting. */
const configuration = (config: unknown): Html | false => {
  if (!isObject(config) || Object.keys(config).length === 0) return false
  const parts = Object.entries(config).filter(([, v]) => isObject(v))
  const own = Object.entries(config).filter(([, v]) => !isObject(v))
  const facts = (entries: readonly (readonly [string, unknown])[]): Html =>
    html`<dl class="facts">${entries.map(([k, v]) => html`<dt>${words(k)}</dt><dd>${inLines(v)}</dd>`)}</dl>`
  return html`<div class="grid small">${own.length > 0 && html`<div><h3>configuration</h3>${facts(own)}</div>`}${parts.map(
    ([name, part]) => html`<div><h3>${words(name)}</h3>${facts(Object.entries(part as object))}</div>`,
  )}</div>`
}

/** The configuration, the block picture (as an image, so that nothing in it can run) and a row a block. */
export const model = (about: Manifest['model']): Html => {
  const table = htmlTable(
    `${about.name}: ${grouped(about.parameters)} parameters`,
    [
      { head: 'path' },
      { head: 'layer' },
      { head: 'axes' },
      { head: 'parameters', number: true },
      { head: 'FLOPs', number: true },
      { head: 'bytes', number: true },
    ],
    about.rows.map((r) => [
      html`<code>${r.path === '' ? '(all)' : breakable(r.path)}</code>`,
      r.layer,
      r.axes,
      grouped(r.parameters),
      short(r.flops),
      short(r.bytes),
    ]),
  )
  return html`${configuration(about.config)}${
    about.svg !== '' &&
    html`<figure class="chart"><div class="model-picture" tabindex="0"><img src="data:image/svg+xml;base64,${Buffer.from(about.svg).toString('base64')}" alt="Block diagram of ${about.name}; the table below lists its blocks."></div></figure>`
  }${about.rows.length > 40 ? html`<details><summary>all ${about.rows.length} rows of the summary</summary>${table}</details>` : table}`
}
