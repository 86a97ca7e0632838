/**
 * Images of another size, as Pillow's `resize(…, BICUBIC)` gives them: published models were trained on such.
 *
 * @since 0.1.0
 */
import type { RgbImage } from './image.ts'

/** Keys' cubic kernel with a = −1/2 (Keys 1981), which is 0 from 2 on. */
const cubic = (x: number): number => {
  const t = Math.abs(x)
  if (t < 1) return (1.5 * t - 2.5) * t * t + 1
  return t < 2 ? ((-0.5 * t + 2.5) * t - 4) * t + 2 : 0
}

/** For each output place the first input place that it reads, and the weights from there on. */
const tapsOf = (from: number, to: number): readonly (readonly [first: number, weights: Float64Array])[] => {
  const scale = from / to
  // where an image shrinks the kernel is as wide as what an output place covers: no aliasing
  const wide = Math.max(1, scale)
  return Array.from({ length: to }, (_, i) => {
    const centre = (i + 0.5) * scale
    const first = Math.max(0, Math.floor(centre - 2 * wide + 0.5))
    const end = Math.min(from, Math.floor(centre + 2 * wide + 0.5))
    const weights = Float64Array.from({ length: end - first }, (_, k) =>
      cubic((first + k - centre + 0.5) / wide),
    )
    const sum = weights.reduce((a, b) => a + b, 0)
    return [first, weights.map((w) => w / sum)] as const
  })
}

/** One axis: `lines` lines of `from` places a `step` apart, of three channels, to `to` places. */
const along = (
  data: Uint8Array,
  [lines, from, to]: readonly [number, number, number],
  /** Whether a line is a row; else it is a column. */
  rows: boolean,
): Uint8Array => {
  const out = new Uint8ClampedArray(lines * to * 3)
  const [step, line, outStep, outLine] = rows ? [3, from * 3, 3, to * 3] : [lines * 3, 3, lines * 3, 3]
  tapsOf(from, to).forEach(([first, weights], i) => {
    for (let l = 0; l < lines; l++) {
      let [red, green, blue] = [0.5, 0.5, 0.5]
      let at = l * line + first * step
      for (let k = 0; k < weights.length; k++, at += step) {
        const w = weights[k]!
        red += w * data[at]!
        green += w * data[at + 1]!
        blue += w * data[at + 2]!
      }
      const to = l * outLine + i * outStep
      out[to] = Math.floor(red)
      out[to + 1] = Math.floor(green)
      out[to + 2] = Math.floor(blue)
    }
  })
  return new Uint8Array(out.buffer)
}

/**
 * An image stretched to `width` × `height` pixels, bicubically, and smoothed where it shrinks.
 *
 * @category resizing
 */
export const resize = (image: RgbImage, width: number, height: number): RgbImage => {
  let { data } = image
  if (image.width !== width) data = along(data, [image.height, image.width, width], true)
  if (image.height !== height) data = along(data, [width, image.height, height], false)
  return { width, height, channels: 3, data }
}
