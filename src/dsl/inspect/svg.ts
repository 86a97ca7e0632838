/**
 * The picture of a model as one self-contained SVG.
 *
 * @since 0.1.0
 */

import type { Tensor } from '../graph.ts'
import { type DiagramOptions, diagram } from './diagram.ts'
import { fontSizes, type Laid, layOut, lineHeights } from './svg-layout.ts'

const escaped = (s: string): string =>
  s.replace(/[&"<>]/g, (c) => ({ '&': '&amp;', '"': '&quot;', '<': '&lt;', '>': '&gt;' })[c]!)

/** Its own background in both colour schemes, so that it reads on any page. */
const style = `
text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif;fill:#1f2328}
.t{font-size:${fontSizes.title}px;font-weight:600}
.d{font-size:${fontSizes.detail}px;fill:#57606a}
.m{text-anchor:middle}
.s0,.s2,.s4{fill:#ffffff;stroke:#d0d7de}
.s1,.s3,.s5{fill:#f3f5f8;stroke:#c2cad3}
.w{fill:#e3edfb;stroke:#5b8bd0}
.n{fill:#ffffff;stroke:#8c959f}
.i{fill:#e6f4ea;stroke:#4f9d69}
.j{fill:#fff5d6;stroke:#b08c1e}
.a{fill:none;stroke:#6e7781;stroke-width:1.3}
.h{marker-end:url(#head)}
#head path{fill:#6e7781}
@media (prefers-color-scheme:dark){
text{fill:#e6edf3}
.d{fill:#9da7b3}
.s0,.s2,.s4{fill:#0f1318;stroke:#3b434d}
.s1,.s3,.s5{fill:#181d24;stroke:#46505c}
.w{fill:#16294a;stroke:#5b8bd0}
.n{fill:#20262e;stroke:#768390}
.i{fill:#12301d;stroke:#4f9d69}
.j{fill:#3a2f0c;stroke:#b08c1e}
.a{stroke:#9da7b3}
#head path{fill:#9da7b3}
}`

const text = (x: number, y: number, classes: string, s: string): string =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" class="${classes}">${escaped(s)}</text>`

const draw = (b: Laid, depth: number): string => {
  const { item, width: w, height: h, lines, inside } = b
  const frame = (classes: string, radius: number): string =>
    `<rect width="${w.toFixed(1)}" height="${h.toFixed(1)}" rx="${radius}" class="${classes}"/>`
  const place = `<g transform="translate(${b.x.toFixed(1)} ${b.y.toFixed(1)})">`
  if (item.kind === 'join')
    return `${place}${frame('j', h / 2)}${text(w / 2, h / 2 + 4.5, 't m', item.label)}</g>`
  const opens = inside.length > 0
  const classes =
    item.kind === 'input' ? 'i' : opens ? `s${depth % 6}` : (item.cost?.parameters ?? 0) > 0 ? 'w' : 'n'
  const written = lines.map((l, i) => {
    const y =
      lineHeights.margin +
      lineHeights.title * 0.72 +
      (i === 0 ? 0 : 2 + i * lineHeights.detail) -
      (opens ? 0 : 2)
    return text(opens ? 12 : w / 2, y, `${i === 0 ? 't' : 'd'}${opens ? '' : ' m'}`, l)
  })
  return [
    place,
    frame(classes, item.kind === 'input' ? h / 2 : opens ? 8 : 5),
    ...written,
    ...inside.map((x) => draw(x, depth + 1)),
    ...b.paths.map((p) => `<path class="a${p.head ? ' h' : ''}" d="${p.d}"/>`),
    '</g>',
  ].join('')
}

/**
 * Boxes in boxes from top to bottom. Blue boxes have parameters, green ones are inputs; a row of equal blocks is one box with
 * its number (`×24`). It needs no other file and reads on light and on dark pages.
 *
 * @category pictures
 */
export const svg = (roots: readonly Tensor[], options: DiagramOptions = {}): string => {
  const laid = layOut(diagram(roots, options))
  const [w, h] = [Math.ceil(laid.width) + 2, Math.ceil(laid.height) + 2]
  const title = escaped(`Block diagram of ${laid.item.label}`)
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${w}" height="${h}" viewBox="0 0 ${w} ${h}" role="img" aria-label="${title}">` +
    `<title>${title}</title><style>${style}\n</style>` +
    `<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8Z"/></marker></defs>` +
    `${draw({ ...laid, x: 1, y: 1 }, 0)}</svg>\n`
  )
}
