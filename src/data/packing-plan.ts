/**
 * What packing comes to, for a person: which samples share a row, and how full rows and packs are.
 *
 * @since 0.1.0
 */
import { type Load, loadOf, type Pack, type PackSizes } from './pack.ts'
import type { Processor } from './processor.ts'

/** A pack without its samples: what each takes of its row. Plain JSON data. */
export interface PackLayout {
  readonly sizes: PackSizes
  /** The segments of each row that holds something, in their order. */
  readonly rows: readonly (readonly Load[])[]
}

/** The layout of a pack; images are one each where no processor says how many squares they are. */
export const layoutOf = (
  pack: Pack,
  { rows, tokens, images }: PackSizes,
  processor?: Processor,
): PackLayout => ({
  sizes: { rows, tokens, images },
  rows: pack.rows.map((row) => row.map((c) => loadOf(c, processor))),
})

/** What packs hold, and what they could hold. */
export interface PackingPlan {
  readonly packs: number
  /** Rows that hold something. */
  readonly rows: number
  /** Samples. */
  readonly segments: number
  readonly images: number
  readonly tokens: number
  /** Tokens of all rows of all packs, of 1: the others are padding. */
  readonly fill: number
  /** Images of all packs, of 1 (1 where packs have none): the others are blank. */
  readonly imageFill: number
  /** Tokens of all samples, of 1 of what they would take in rows of their own of the same length. */
  readonly unpackedFill: number
}

const add = (all: readonly number[]): number => all.reduce((a, b) => a + b, 0)

/** What segments hold together. */
export const loadsTogether = (loads: readonly Load[]): Load => ({
  tokens: add(loads.map((l) => l.tokens)),
  images: add(loads.map((l) => l.images)),
})

/**
 * What packs come to.
 *
 * @category packing
 */
export const packingPlan = (layouts: readonly PackLayout[]): PackingPlan => {
  const rows = layouts.flatMap((l) => l.rows)
  const segments = rows.flat()
  const { tokens, images } = loadsTogether(segments)
  const share = (n: number, all: readonly number[]): number => (add(all) === 0 ? 1 : n / add(all))
  return {
    ...{ packs: layouts.length, rows: rows.length, segments: segments.length, images, tokens },
    fill: share(
      tokens,
      layouts.map(({ sizes }) => sizes.rows * sizes.tokens),
    ),
    imageFill: share(
      images,
      layouts.map(({ sizes }) => sizes.images),
    ),
    unpackedFill: share(
      tokens,
      layouts.map((l) => l.sizes.tokens * l.rows.flat().length),
    ),
  }
}

const percent = (share: number): string => `${Math.round(100 * share)} %`

/** `3 segments`, `1 segment`. */
const counted = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`

/** `8 of 8 rows, 16 segments, 16 of 16 images, 95 % full`: what one pack comes to. */
export const packLine = (layout: PackLayout): string => {
  const { rows, segments, images, fill } = packingPlan([layout])
  const { sizes } = layout
  return `${rows} of ${counted(sizes.rows, 'row')}, ${counted(segments, 'segment')}, ${images} of ${counted(sizes.images, 'image')}, ${percent(fill)} full`
}

/** What packs come to together, as one line. */
export const planLine = (layouts: readonly PackLayout[]): string => {
  const all = packingPlan(layouts)
  return `${counted(all.packs, 'pack')}: ${counted(all.segments, 'segment')}, ${counted(all.images, 'image')}, ${all.tokens} tokens; ${percent(all.fill)} of the tokens and ${percent(all.imageFill)} of the images are real (${percent(all.unpackedFill)} of the tokens with one sample a row)`
}

/**
 * A packing as text: a line a pack, and under it a line a row with its segments drawn to scale (each in a shade other than
 * that of its neighbours, padding as dots), their number, images and tokens; at the end what all come to.
 *
 * @param width columns of a row's drawing; default 48
 * @category packing
 */
export const showPlan = (layouts: readonly PackLayout[], width = 48): string => {
  const columns = Math.max(1, Math.floor(width))
  const drawn = (lengths: readonly number[], tokens: number): string => {
    const place = (n: number): number => Math.round((n / tokens) * columns)
    let at = 0
    const parts = lengths.map((n, i) => {
      const from = place(at)
      at += n
      return (i % 2 === 0 ? '█' : '▒').repeat(place(at) - from)
    })
    return parts.join('').padEnd(columns, '·')
  }
  const lines = layouts.flatMap((layout, p) => [
    `pack ${p + 1}: ${packLine(layout)}`,
    ...layout.rows.map((row, r) => {
      const { tokens, images } = loadsTogether(row)
      const [number, segments, shown] = [r + 1, row.length, images].map((n) => String(n).padStart(3))
      const lengths = row.map((l) => l.tokens)
      return `${number}  ${drawn(lengths, layout.sizes.tokens)} ${segments} segments ${shown} images  ${tokens} / ${layout.sizes.tokens} tokens`
    }),
  ])
  return [...lines, planLine(layouts)].join('\n')
}
