/**
 * A packing as a picture: rows drawn to scale, segment by segment.
 *
 * @since 0.1.0
 */
import type { Load } from './pack.ts'
import { loadsTogether, type PackLayout, packLine } from './packing-plan.ts'

/** Lengths in pixels: a row's height, the gap below it, the head of a pack, room left and right of the rows. */
const row = 18
const gap = 4
const head = 26
const left = 34
const right = 170
const mark = 3

/** Shades of segments; neighbours differ. Of images marks stand above, one an image. */
const style = `
.packing text { font: 12px system-ui, sans-serif; fill: #3a4350 }
.packing .pack { font-weight: 600; fill: #1d2530 }
.packing .number { text-anchor: end }
.packing .padding { fill: #eef1f5; stroke: #c4ccd6; stroke-width: 0.5 }
.packing .even { fill: #2f6fb7 }
.packing .odd { fill: #8db4de }
.packing .image { fill: #d9822b }
@media (prefers-color-scheme: dark) {
  .packing text { fill: #b7c0cc }
  .packing .pack { fill: #e8edf3 }
  .packing .padding { fill: #242a33; stroke: #47505c }
}`

const places = (lengths: readonly number[]): readonly number[] =>
  lengths.map((_, i) => lengths.slice(0, i).reduce((a, b) => a + b, 0))

const n = (x: number): string => String(Math.round(100 * x) / 100)

const drawnRow = (
  loads: readonly Load[],
  at: { readonly number: number; readonly y: number; readonly width: number; readonly tokens: number },
): readonly string[] => {
  const { number, y, width, tokens } = at
  const scale = width / tokens
  const starts = places(loads.map((l) => l.tokens))
  const all = loadsTogether(loads)
  return [
    `<text class="number" x="${left - 8}" y="${n(y + row - 5)}">${number}</text>`,
    `<rect class="padding" x="${left}" y="${n(y)}" width="${n(width)}" height="${row}"/>`,
    ...loads.flatMap((load, i) => {
      const x = left + starts[i]! * scale
      const wide = load.tokens * scale
      const marks = Array.from({ length: load.images }, (_, k) => x + ((k + 0.5) * wide) / load.images)
      return [
        `<rect class="${i % 2 === 0 ? 'even' : 'odd'}" x="${n(x)}" y="${n(y)}" width="${n(wide)}" height="${row}"><title>segment ${i + 1}: ${load.tokens} tokens, ${load.images} images</title></rect>`,
        ...marks.map((m) => `<circle class="image" cx="${n(m)}" cy="${n(y + row / 2)}" r="${mark}"/>`),
      ]
    }),
    `<text x="${n(left + width + 8)}" y="${n(y + row - 5)}">${all.tokens} / ${tokens} tokens, ${all.images} images</text>`,
  ]
}

/**
 * A packing as SVG: of each pack its rows to scale, their segments in two shades, padding in grey, a dot for each image,
 * and beside each row its tokens and images. It has no text but numbers and these words.
 *
 * @param width pixels of a row's drawing; default 480
 * @category packing
 */
export const drawPlan = (layouts: readonly PackLayout[], width = 480): string => {
  let y = 0
  const parts = layouts.flatMap((layout, p) => {
    const { rows, tokens } = layout.sizes
    const title = `<text class="pack" x="0" y="${n(y + 15)}">pack ${p + 1}: ${packLine(layout)}</text>`
    const drawn = Array.from({ length: rows }, (_, r) =>
      drawnRow(layout.rows[r] ?? [], { number: r + 1, y: y + head + r * (row + gap), width, tokens }),
    )
    y += head + rows * (row + gap) + gap
    return [title, ...drawn.flat()]
  })
  const [w, h] = [left + width + right, Math.max(1, y)]
  return `<svg class="packing" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${n(w)} ${n(h)}" width="${n(w)}" height="${n(h)}" role="img" aria-label="how samples share rows">
<style>${style}
</style>
${parts.join('\n')}
</svg>
`
}
