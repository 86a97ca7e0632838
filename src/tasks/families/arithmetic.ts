/**
 * Written arithmetic: a sum or difference of two-digit numbers stands in the image; the answer copies it, works out
 * units and tens one after the other, and ends in the result.
 *
 * @since 0.1.0
 */

import type { Random } from '../../random/index.ts'
import {
  css,
  drawGlyphs,
  drawInks,
  fonts,
  type Glyph,
  type Inks,
  imageSize,
  moved,
  paint,
} from '../canvas.ts'
import { blankPatches, claimGlyphs } from '../patches.ts'
import type { TaskFamily } from './family.ts'
import { cells, looks, onGrid, placeLine } from './read.ts'

/** An expression `a + b` or `a - b` and how it is set: in a line with or without `=`, or as a column. */
export interface ArithmeticScene {
  readonly family: 'arithmetic'
  readonly a: number
  readonly b: number
  readonly sign: '+' | '-'
  readonly layout: 'equals' | 'bare' | 'column'
  readonly font: string
  readonly fontSize: number
  readonly capHeight: number
  readonly inks: Inks
  readonly glyphs: readonly Glyph[]
  readonly wording: number
}

const wordings = ['What is the result?', 'Work it out.', 'Compute step by step.'] as const

/**
 * The written steps of an expression: `47+38: 7+8=15, 4+3+1=8, so 85`, with the carried 1 where there is one, and
 * `52-38: 12-8=4, 5-1-3=1, so 14`, with the borrowed 1 where there is one.
 */
export const steps = (
  a: number,
  sign: '+' | '-',
  b: number,
): { readonly text: string; readonly result: number } => {
  const [ta, ua, tb, ub] = [Math.floor(a / 10), a % 10, Math.floor(b / 10), b % 10]
  if (sign === '+') {
    const units = ua + ub
    const tens = ta + tb + (units > 9 ? 1 : 0)
    const result = a + b
    const text = `${a}+${b}: ${ua}+${ub}=${units}, ${ta}+${tb}${units > 9 ? '+1' : ''}=${tens}, so ${result}`
    return { text, result }
  }
  const borrow = ua < ub
  const units = ua + (borrow ? 10 : 0) - ub
  const tens = ta - (borrow ? 1 : 0) - tb
  const result = a - b
  const first = `${borrow ? '1' : ''}${ua}-${ub}=${units}`
  return { text: `${a}-${b}: ${first}, ${ta}${borrow ? '-1' : ''}-${tb}=${tens}, so ${result}`, result }
}

const operands = (r: Random, level: number): Pick<ArithmeticScene, 'a' | 'b' | 'sign'> => {
  if (level === 1) {
    // no carry: each pair of digits adds up to 9 at most
    const ua = r.int(0, 9)
    const ta = r.int(1, 8)
    return { a: ta * 10 + ua, b: r.int(1, 9 - ta) * 10 + r.int(0, 9 - ua), sign: '+' }
  }
  const x = r.int(10, 99)
  const y = r.int(10, 99)
  if (level === 2 || r.chance(0.5)) return { a: x, b: y, sign: '+' }
  return { a: Math.max(x, y), b: Math.min(x, y), sign: '-' }
}

const set = (r: Random, layout: ArithmeticScene['layout'], a: number, sign: string, b: number) => {
  if (layout === 'equals') return placeLine(r, `${a}${sign}${b}=`, r.real(13, 17), 14)
  if (layout === 'bare') return placeLine(r, `${a}${sign}${b}`, r.real(15, 22), 21)
  const font = r.pick(fonts).name
  const capHeight = r.real(16, 23)
  const above = cells(String(a), font, capHeight, 21)
  const below = cells(`${sign}${b}`, font, capHeight, 21)
  const apart = 28
  const x = onGrid(r, below.width, 21 / 2)
  const y = onGrid(r, apart + capHeight, capHeight / 2)
  const glyphs = [
    ...moved(above.glyphs, x + below.width - above.width, y),
    ...moved(below.glyphs, x, y + apart),
  ]
  return { font, fontSize: below.fontSize, capHeight, glyphs }
}

/** The arithmetic family. The content key is the expression; a sum and the same sum turned round share theirs. */
export const arithmetic: TaskFamily<ArithmeticScene> = {
  family: 'arithmetic',
  draw: (r, level) => {
    const { a, b, sign } = operands(r, level)
    const layout = r.pick(
      level === 1 ? (['equals', 'bare'] as const) : (['equals', 'bare', 'column'] as const),
    )
    const line = set(r, layout, a, sign, b)
    return {
      family: 'arithmetic',
      ...{ a, b, sign, layout },
      ...line,
      inks: drawInks(r),
      wording: r.int(0, wordings.length - 1),
    }
  },
  key: (s) => (s.sign === '+' ? `${Math.min(s.a, s.b)}+${Math.max(s.a, s.b)}` : `${s.a}-${s.b}`),
  image: (s) =>
    paint((c) => {
      c.fillStyle = css(s.inks.groundRgb)
      c.fillRect(0, 0, imageSize, imageSize)
      drawGlyphs(c, s.glyphs, s.font, s.fontSize, css(s.inks.inkRgb))
    }),
  patches: (s) => {
    const out = blankPatches()
    claimGlyphs(out, s.glyphs)
    return out
  },
  caption: (s) => `${s.sign === '+' ? 'sum' : 'difference'} ${s.a}${s.sign}${s.b}, ${looks(s)}`,
  ask: (s) => {
    const { text, result } = steps(s.a, s.sign, s.b)
    return { question: wordings[s.wording]!, answer: text, final: String(result) }
  },
}
