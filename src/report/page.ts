/**
 * The frame of a page that stands alone: head, sections with their navigation, style and script.
 *
 * @since 0.1.0
 */
import { type Html, html, trusted } from './html.ts'
import { script } from './script.ts'
import { style } from './style.ts'

/** A part of a page, with the name that its address has. */
export type Section = readonly [id: string, title: string, body: Html]

/** What stands in the frame. */
export interface Page {
  readonly title: string
  readonly header: Html
  readonly sections: readonly Section[]
  readonly footer: Html
}

/** One file that opens offline and fetches nothing. */
export const page = (p: Page): string =>
  html`${trusted('<!doctype html>')}
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<title>${p.title}</title>
<style>${trusted(style)}</style>
</head>
<body>
<header>
${p.header}
</header>
<nav aria-label="Sections"><ul>${p.sections.map(([id, title]) => html`<li><a href="#${id}">${title}</a></li>`)}</ul></nav>
<main>
${p.sections.map(
  ([id, title, body]) => html`<section aria-labelledby="${id}"><h2 id="${id}">${title}</h2>
${body}
</section>
`,
)}</main>
<footer>${p.footer}</footer>
<script>${trusted(script)}</script>
</body>
</html>
`.text
