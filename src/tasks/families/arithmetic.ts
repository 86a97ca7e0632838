/**
 * Written arithmetic: a sum or difference of two-digit numbers (three of them in a column at level 4) stands in the image;
 * the answer copies it, works out units and tens one after the other, and ends in the result.
 *
 * @since 0.1.0
 */
import type { Random } from '../../random/index.ts'
import { drawInks, fonts, type Glyph, type Inks, moved } from '../canvas.ts'
import type { TaskFamily } from './family.ts'
import { cells, lineImage, linePatches, looks, onGrid, placeLine } from './read.ts'

/** An expression `a + b` or `a - b` and how it is set: in a line with or without `=`, or as a column. */
export interface ArithmeticScene {
  readonly family: 'arithmetic'
  readonly a: number
  readonly b: number
  readonly sign: '+' | '-'
  /** What is added to the result, or taken from it, at level 4. */
  readonly third?: { readonly sign: '+' | '-'; readonly c: number }
  readonly layout: 'equals' | 'bare' | 'column'
  readonly font: string
  readonly fontSize: number
  readonly capHeight: number
  readonly inks: Inks
  readonly glyphs: readonly Glyph[]
  readonly wording: number
}

const wordings = ['What is the result?', 'Work it out.', 'Compute step by step.'] as const

/** Units and tens of one sum or difference: `7+8=15, 4+3+1=8`, `12-8=4, 5-1-3=1`. */
const digits = (a: number, sign: '+' | '-', b: number): string => {
  const [ta, ua, tb, ub] = [Math.floor(a / 10), a % 10, Math.floor(b / 10), b % 10]
  if (sign === '+') {
    const units = ua + ub
    const tens = ta + tb + (units > 9 ? 1 : 0)
    return `${ua}+${ub}=${units}, ${ta}+${tb}${units > 9 ? '+1' : ''}=${tens}`
  }
  const borrow = ua < ub
  const units = ua + (borrow ? 10 : 0) - ub
  const tens = ta - (borrow ? 1 : 0) - tb
  return `${borrow ? '1' : ''}${ua}-${ub}=${units}, ${ta}${borrow ? '-1' : ''}-${tb}=${tens}`
}

const resultOf = (a: number, sign: '+' | '-', b: number): number => (sign === '+' ? a + b : a - b)

/**
 * The written steps of an expression: `47+38: 7+8=15, 4+3+1=8, so 85`, with the carried 1 where there is one,
 * `52-38: 12-8=4, 5-1-3=1, so 14`, with the borrowed 1 where there is one, and with a third number
 * `47+38-23: 7+8=15, 4+3+1=8, 85-23: 5-3=2, 8-2=6, so 62`.
 */
export const steps = (
  a: number,
  sign: '+' | '-',
  b: number,
  third?: ArithmeticScene['third'],
): { readonly steps: string; readonly text: string; readonly result: number } => {
  const first = resultOf(a, sign, b)
  const more = third === undefined ? '' : `${third.sign}${third.c}`
  const result = third === undefined ? first : resultOf(first, third.sign, third.c)
  const then = third === undefined ? '' : `, ${first}${more}: ${digits(first, third.sign, third.c)}`
  const steps = `${a}${sign}${b}${more}: ${digits(a, sign, b)}${then}`
  return { steps, text: `${steps}, so ${result}`, result }
}

/** Three numbers whose results stay between 0 and 99. */
const three = (r: Random): Pick<ArithmeticScene, 'a' | 'b' | 'sign' | 'third'> => {
  for (;;) {
    const [a, b, c] = [r.int(10, 99), r.int(10, 99), r.int(10, 99)]
    const [sign, next] = [r.pick(['+', '-'] as const), r.pick(['+', '-'] as const)]
    const first = resultOf(a, sign, b)
    const last = resultOf(first, next, c)
    if ([first, last].every((n) => n >= 10 && n <= 99)) return { a, b, sign, third: { sign: next, c } }
  }
}

const operands = (r: Random, level: number): Pick<ArithmeticScene, 'a' | 'b' | 'sign' | 'third'> => {
  if (level === 4) return three(r)
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

const set = (
  r: Random,
  layout: ArithmeticScene['layout'],
  { a, sign, b, third }: Pick<ArithmeticScene, 'a' | 'b' | 'sign' | 'third'>,
) => {
  if (layout === 'equals') return placeLine(r, `${a}${sign}${b}=`, r.real(13, 17), 14)
  if (layout === 'bare') return placeLine(r, `${a}${sign}${b}`, r.real(15, 22), 21)
  const font = r.pick(fonts).name
  const capHeight = r.real(16, 23)
  const lines = [String(a), `${sign}${b}`, ...(third === undefined ? [] : [`${third.sign}${third.c}`])].map(
    (line) => cells(line, font, capHeight, 21),
  )
  const apart = 28
  const { width, fontSize } = lines[1]!
  const x = onGrid(r, width, 21 / 2)
  const y = onGrid(r, apart * (lines.length - 1) + capHeight, capHeight / 2)
  const glyphs = lines.flatMap((line, n) => moved(line.glyphs, x + width - line.width, y + n * apart))
  return { font, fontSize, capHeight, glyphs }
}

const written = ({ third }: ArithmeticScene): string => (third === undefined ? '' : `${third.sign}${third.c}`)

/** The content key of two numbers: a sum turned round is the same. */
export const keyOf = (a: number, sign: '+' | '-', b: number): string =>
  sign === '+' ? `${Math.min(a, b)}+${Math.max(a, b)}` : `${a}-${b}`

/** The arithmetic family. The content key is the expression; a sum and the same sum turned round share theirs. */
export const arithmetic: TaskFamily<ArithmeticScene> = {
  family: 'arithmetic',
  draw: (r, level) => {
    const numbers = operands(r, level)
    const layouts =
      level === 1
        ? (['equals', 'bare'] as const)
        : level === 4
          ? (['column'] as const)
          : (['equals', 'bare', 'column'] as const)
    const layout = r.pick<ArithmeticScene['layout']>(layouts)
    const line = set(r, layout, numbers)
    return {
      family: 'arithmetic',
      ...numbers,
      layout,
      ...line,
      inks: drawInks(r),
      wording: r.int(0, wordings.length - 1),
    }
  },
  key: (s) => `${keyOf(s.a, s.sign, s.b)}${written(s)}`,
  image: lineImage,
  patches: linePatches,
  caption: (s) => `${s.sign === '+' ? 'sum' : 'difference'} ${s.a}${s.sign}${s.b}${written(s)}, ${looks(s)}`,
  ask: (s) => {
    const { steps: way, text, result } = steps(s.a, s.sign, s.b, s.third)
    return { question: wordings[s.wording]!, steps: way, answer: text, final: String(result) }
  },
}
