/**
 * The model: its picture and its summary table.
 *
 * @since 0.1.0
 */
import type { Manifest } from '../../train/events.ts'
import { grouped, short } from '../../train/format.ts'
import { type Html, html, htmlTable, type Part } from '../html.ts'

/** A path that may go on in the next line after each dot. */
const breakable = (path: string): Part =>
  path.split('.').map((name, i) => html`${i > 0 && html`.<wbr>`}${name}`)

/** The block picture (as an image, so that nothing in it can run) and a row a block. */
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
  return html`${
    about.svg !== '' &&
    html`<figure class="chart"><div class="model-picture" tabindex="0"><img src="data:image/svg+xml;base64,${Buffer.from(about.svg).toString('base64')}" alt="Block diagram of ${about.name}; the table below lists its blocks."></div></figure>`
  }${about.rows.length > 40 ? html`<details><summary>all ${about.rows.length} rows of the summary</summary>${table}</details>` : table}`
}
