/**
 * Names above neighbouring stretches of a picture, placed so that none lies over another. Pure.
 *
 * @since 0.1.0
 */

/** A stretch of a picture, in pixels from its left edge, with the number and the name of what it shows. */
export interface Stretch {
  readonly from: number
  readonly to: number
  readonly number: number
  readonly name: string
}

/** A text on a line of its row: `row` 0 is the lowest, `x` the middle and `width` the extent in pixels. */
export interface Label {
  readonly text: string
  readonly x: number
  readonly width: number
  readonly row: number
}

/** Advance widths in em, rounded up over DejaVu Sans and Verdana, the widest of the usual fonts; the first that fits. */
const advances: readonly (readonly [characters: RegExp, em: number])[] = [
  [/[fijlrt.,:;'|!()[\] -]/, 0.46],
  [/[mwMW@%]/, 1.08],
  [/[a-z0-9_]/, 0.65],
  [/[A-Z]/, 0.8],
]

/** What a text takes at most in the usual sans-serif fonts, in pixels. */
export const textWidth = (text: string, fontSize: number): number =>
  fontSize * [...text].reduce((sum, c) => sum + (advances.find(([of]) => of.test(c))?.[1] ?? 1.1), 0)

/**
 * A label for each stretch, over its middle as far as it stays between the pixels `left` and `right`: its number and
 * name where they have room in one of `rows` rows, else its number, else none. Wide stretches choose first.
 */
export const placeLabels = (
  stretches: readonly Stretch[],
  [left, right]: readonly [left: number, right: number],
  { fontSize = 12, rows = 2, gap = 8 } = {},
): readonly (Label | undefined)[] => {
  const placed: (Label | undefined)[] = stretches.map(() => undefined)
  const free = (l: Label): boolean =>
    l.width <= right - left &&
    placed.every(
      (p) => p === undefined || p.row !== l.row || Math.abs(p.x - l.x) >= (p.width + l.width) / 2 + gap,
    )
  const order = stretches
    .map((s, i) => ({ s, i }))
    .sort((a, b) => b.s.to - b.s.from - (a.s.to - a.s.from) || a.i - b.i)
  for (const { s, i } of order)
    placed[i] = [`${s.number}. ${s.name}`, `${s.number}.`]
      .flatMap((text) =>
        Array.from({ length: rows }, (_, row): Label => {
          const w = textWidth(text, fontSize)
          const x = Math.max(left + w / 2, Math.min(right - w / 2, (s.from + s.to) / 2))
          return { text, x, width: w, row }
        }),
      )
      .find(free)
  return placed
}
