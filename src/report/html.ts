/**
 * HTML from template literals: what is put in is escaped unless it is HTML already.
 *
 * @since 0.1.0
 */

/** A piece of HTML. */
export interface Html {
  readonly _tag: 'Html'
  readonly text: string
}

/** What may stand in a template: text is escaped, lists are joined, nothing becomes nothing. */
export type Part = Html | string | number | null | undefined | false | readonly Part[]

/** Takes text as HTML as it is. Only for text that this library wrote itself. */
export const trusted = (text: string): Html => ({ _tag: 'Html', text })

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** Text as it stands between tags or inside a quoted attribute. */
export const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (c) => entities[c]!)

const show = (part: Part): string => {
  if (part === null || part === undefined || part === false) return ''
  if (typeof part === 'object') return '_tag' in part ? part.text : part.map(show).join('')
  return escapeHtml(String(part))
}

/**
 * @example
 * html`<b>${'a < b'}</b>`.text // '<b>a &lt; b</b>'
 *
 * @category constructors
 */
export const html = (strings: TemplateStringsArray, ...parts: readonly Part[]): Html =>
  trusted(strings.map((s, i) => s + (i < parts.length ? show(parts[i]) : '')).join(''))

/** A path that may go on in the next line after each dot. */
export const breakable = (path: string): Part =>
  path.split('.').map((name, i) => html`${i > 0 && html`.<wbr>`}${name}`)

/** A list item: a name, its figure in large, and a note under it. */
export const tile = (name: string, value: Part, note: Part): Html =>
  html`<li class="tile"><span class="name">${name}</span><div class="value">${value}</div><span class="note">${note}</span></li>
`

/** A cell of a table: text, or text aligned as a number. */
export interface HtmlColumn {
  readonly head: string
  readonly number?: boolean
}

/** A table that scrolls inside its own box where the page is narrow. Each row's first cell is its heading. */
export const htmlTable = (
  caption: string,
  columns: readonly HtmlColumn[],
  rows: readonly (readonly Part[])[],
): Html => {
  const kind = (i: number): Html | false => columns[i]?.number === true && trusted(' class="number"')
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${caption}"><table>
<caption><span>${caption}</span></caption>
<thead><tr>${columns.map((c, i) => html`<th scope="col"${kind(i)}>${c.head}</th>`)}</tr></thead>
<tbody>${rows.map(
    (row) =>
      html`<tr>${row.map((cell, i) =>
        i === 0 ? html`<th scope="row"${kind(i)}>${cell}</th>` : html`<td${kind(i)}>${cell}</td>`,
      )}</tr>
`,
  )}</tbody></table></div>`
}
