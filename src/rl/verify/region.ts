/**
 * Rectangles in an image: read from text, brought to pixels, compared.
 *
 * @since 0.1.0
 */

/** Left, top, right, bottom. */
export type Region = readonly [x1: number, y1: number, x2: number, y2: number]

/**
 * Intersection over union of two rectangles; 0 where both are empty.
 *
 * @category verifiers
 */
export const iou = (a: Region, b: Region): number => {
  const area = ([x1, y1, x2, y2]: Region): number => Math.max(0, x2 - x1) * Math.max(0, y2 - y1)
  const shared = area([
    Math.max(a[0], b[0]),
    Math.max(a[1], b[1]),
    Math.min(a[2], b[2]),
    Math.min(a[3], b[3]),
  ])
  const union = area(a) + area(b) - shared
  return union > 0 ? shared / union : 0
}

const number = String.raw`[-+]?(?:\d{1,9}(?:\.\d{0,9})?|\.\d{1,9})`
const four = new RegExp(
  String.raw`[\[(<]{0,2}\s{0,3}(?<!\d)(${number})\s{0,3},\s{0,3}(${number})\s{0,3}[\])]?\s{0,3},\s{0,3}[\[(]?\s{0,3}(${number})\s{0,3},\s{0,3}(${number})`,
  'g',
)
const tail = 10_000

/**
 * The last four numbers with commas between them, however they are bracketed: `[1, 2, 3, 4]`, `(1,2),(3,4)`. Null where
 * there are none.
 *
 * @category verifiers
 */
export const regionIn = (text: string): Region | null => {
  const found = [...text.slice(-tail).matchAll(four)].at(-1)
  if (found === undefined) return null
  const [x1, y1, x2, y2] = found.slice(1).map(Number)
  return [x1!, y1!, x2!, y2!]
}

/**
 * A rectangle in pixels. Coordinates of which none is above 1.5 are shares of the image's size, of which none is above 1000
 * thousandths of it (SAIL-VL2, section 6: 0 to 1000, with 0 to 1 as a safeguard), others pixels. The corners are put in order and
 * kept inside the image.
 *
 * @category verifiers
 */
export const regionInPixels = (region: Region, width: number, height: number): Region => {
  const largest = Math.max(...region.map(Math.abs))
  const unit = largest <= 1.5 ? 1 : largest <= 1000 ? 1000 : undefined
  const within = (at: number, size: number): number =>
    Math.min(size, Math.max(0, unit === undefined ? at : (at / unit) * size))
  const [x1, y1, x2, y2] = region
  const [left, right] = [within(x1, width), within(x2, width)]
  const [top, bottom] = [within(y1, height), within(y2, height)]
  return [Math.min(left, right), Math.min(top, bottom), Math.max(left, right), Math.max(top, bottom)]
}
