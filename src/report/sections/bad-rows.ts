/**
 * The rows of the user's data that the run has set aside.
 *
 * @since 0.1.0
 */
import { grouped } from '../../terminal/index.ts'
import { html, htmlTable } from '../html.ts'
import type { Section } from '../page.ts'
import type { RunView } from '../view.ts'

/** The section, where there are any: how many, and each with its file, its line and what is wrong with it. */
export const badRows = ({ state }: RunView): readonly Section[] => {
  const { rows, count } = state.badRows
  if (count === 0) return []
  const table = htmlTable(
    'Rows that were set aside',
    [{ head: 'file' }, { head: 'line' }, { head: 'what is wrong' }],
    rows.map(({ file, line, reason }) => [html`<code>${file}</code>`, String(line), reason]),
  )
  const body = html`<p>${count === 1 ? '1 row of the data was' : `${grouped(count)} rows of the data were`} set aside and not trained on.${
    count > rows.length && ` The first ${grouped(rows.length)}:`
  }</p>
${rows.length > 12 ? html`<details><summary>Each of them, with what is wrong</summary>${table}</details>` : table}`
  return [['bad-rows', 'Rows that were set aside', body]]
}
