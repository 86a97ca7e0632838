/**
 * What packing comes to, for a person: how full rows and packs are.
 *
 * @since 0.2.0
 */
import { loadOf, type Pack, type PackSizes } from './pack.ts'

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
}

const add = (all: readonly number[]): number => all.reduce((a, b) => a + b, 0)

/** What packs come to. */
export const packingPlan = (packs: readonly Pack[], sizes: PackSizes): PackingPlan => {
  const rows = packs.flatMap((p) => p.rows)
  const loads = rows.flat().map(loadOf)
  const [tokens, images] = [add(loads.map((l) => l.tokens)), add(loads.map((l) => l.images))]
  const of = (n: number, each: number): number => (packs.length * each === 0 ? 1 : n / (packs.length * each))
  return {
    ...{ packs: packs.length, rows: rows.length, segments: loads.length, images, tokens },
    fill: of(tokens, sizes.rows * sizes.tokens),
    imageFill: of(images, sizes.images),
  }
}

const percent = (share: number): string => `${Math.round(100 * share)} %`

/**
 * A packing as text: a line a pack, and under it a line a row with its segments drawn to scale (each in a shade other than
 * that of its neighbours, padding as dots), their number, images and tokens; at the end what all come to.
 *
 * @param width columns of a row's drawing; default 48
 * @category packing
 */
export const showPlan = (packs: readonly Pack[], sizes: PackSizes, width = 48): string => {
  const columns = Math.max(1, Math.floor(width))
  const place = (tokens: number): number => Math.round((tokens / sizes.tokens) * columns)
  const drawn = (lengths: readonly number[]): string => {
    let at = 0
    const parts = lengths.map((n, i) => {
      const from = place(at)
      at += n
      return (i % 2 === 0 ? '█' : '▒').repeat(place(at) - from)
    })
    return parts.join('').padEnd(columns, '·')
  }
  const lines = packs.flatMap((pack, p) => {
    const own = packingPlan([pack], sizes)
    return [
      `pack ${p + 1}: ${own.rows} of ${sizes.rows} rows, ${own.segments} segments, ${own.images} of ${sizes.images} images, ${percent(own.fill)} full`,
      ...pack.rows.map((row, r) => {
        const loads = row.map(loadOf)
        const [tokens, images] = [add(loads.map((l) => l.tokens)), add(loads.map((l) => l.images))]
        const [number, segments, shown] = [r + 1, row.length, images].map((n) => String(n).padStart(3))
        return `${number}  ${drawn(loads.map((l) => l.tokens))} ${segments} segments ${shown} images  ${tokens} / ${sizes.tokens} tokens`
      }),
    ]
  })
  const all = packingPlan(packs, sizes)
  const unpacked = all.segments * sizes.tokens
  const share = unpacked === 0 ? 1 : all.tokens / unpacked
  return [
    ...lines,
    `${all.packs} packs: ${all.segments} segments, ${all.images} images, ${all.tokens} tokens; ${percent(all.fill)} of the tokens and ${percent(all.imageFill)} of the images are real (${percent(share)} of the tokens with one sample a row)`,
  ].join('\n')
}
