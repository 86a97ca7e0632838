/**
 * Numbers of a curve, made ready for drawing. Pure.
 *
 * @since 0.1.0
 */

/** A point of a curve. */
export interface Point {
  readonly x: number
  readonly y: number
}

/** Points whose value is a number; the others cannot be drawn and are counted in the caption. */
export const finite = (points: readonly Point[]): readonly Point[] =>
  points.filter((p) => Number.isFinite(p.y))

/**
 * Exponentially weighted mean along a curve, without the start's bias. `span` is the number of points that carry most of
 * the weight (the weight falls by 1 − 2/(span + 1) a point).
 */
export const smooth = (points: readonly Point[], span: number): readonly Point[] => {
  const keep = 1 - 2 / (Math.max(1, span) + 1)
  let sum = 0
  let weight = 0
  return points.map(({ x, y }) => {
    sum = sum * keep + y
    weight = weight * keep + 1
    return { x, y: sum / weight }
  })
}

/** A thirtieth of the curve, at least 5 points: what {@link smooth} takes for a stage. */
export const spanOf = (points: readonly Point[]): number => Math.max(5, points.length / 30)

/**
 * At most about `most` points that look the same when drawn: of each stretch its lowest and its highest point, in their
 * order. Ends stay.
 */
export const thin = (points: readonly Point[], most: number): readonly Point[] => {
  if (points.length <= most) return points
  const stretches = Math.max(1, Math.floor(most / 2))
  const out: Point[] = []
  for (let i = 0; i < stretches; i++) {
    const part = points.slice(
      Math.floor((i * points.length) / stretches),
      Math.floor(((i + 1) * points.length) / stretches),
    )
    const low = part.reduce((a, b) => (b.y < a.y ? b : a))
    const high = part.reduce((a, b) => (b.y > a.y ? b : a))
    for (const p of new Set(low.x < high.x ? [low, high] : [high, low])) out.push(p)
  }
  const ends = [points[0]!, points[points.length - 1]!]
  return [...new Set([ends[0]!, ...out, ends[1]!])].sort((a, b) => a.x - b.x)
}

/** A stretch of a band: from `y` up to `high`. */
export interface Breadth extends Point {
  readonly high: number
}

/** At most `most` breadths that look the same when drawn: each stretch is as broad as all of it together. */
export const thinBand = (band: readonly Breadth[], most: number): readonly Breadth[] =>
  band.length <= most
    ? band
    : Array.from({ length: most }, (_, i) => {
        const [from, to] = [i, i + 1].map((n) => Math.floor((n * band.length) / most))
        const part = band.slice(from, to)
        const { x } = part[i === 0 ? 0 : i === most - 1 ? part.length - 1 : part.length >> 1]!
        return part.reduce((a, b) => ({ x, y: Math.min(a.y, b.y), high: Math.max(a.high, b.high) }), {
          ...part[0]!,
          x,
        })
      })

/** A logarithmic axis shows more where all values are positive and the largest is over four times the smallest. */
export const wantsLog = (points: readonly Point[]): boolean => {
  const low = points.reduce((a, p) => Math.min(a, p.y), Number.POSITIVE_INFINITY)
  const high = points.reduce((a, p) => Math.max(a, p.y), Number.NEGATIVE_INFINITY)
  return points.length > 0 && low > 0 && high / low > 4
}

/** Round values (1, 2 and 5 times a power of ten; powers alone where that would be many) between two positive bounds. */
export const logTicks = (low: number, high: number): readonly number[] => {
  const powers: number[] = []
  for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e++) powers.push(e)
  const within = (leads: readonly number[]): readonly number[] =>
    powers.flatMap((e) => leads.map((l) => Number(`${l}e${e}`))).filter((v) => v >= low && v <= high)
  const fine = within([1, 2, 5])
  return fine.length > 8 ? within([1]) : fine
}
