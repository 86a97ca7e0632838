/**
 * Bar charts: three to five bars (six or seven at level 4, without written values) named by capitals, values 0 to 20, an axis; upright or lying, with
 * and without grid lines and written values, light and dark. The question asks for a bar's value or the largest bar.
 *
 * @since 0.1.0
 */
import type { SKRSContext2D } from '@napi-rs/canvas'
import { css, imageSize, near, paint, type Rgb } from '../canvas.ts'
import { barLetters, blankPatches, type Claim, centreClass, claim, patchAt } from '../patches.ts'
import type { TaskFamily } from './family.ts'

/** A bar: its letter, its value (0 to 20) and its colour. */
export interface Bar {
  readonly letter: string
  readonly value: number
  readonly rgb: Rgb
}

/** How a chart looks, its data apart. */
export interface ChartStyle {
  readonly upright: boolean
  readonly grid: boolean
  /** Whether each bar's value is written at its end. */
  readonly written: boolean
  readonly dark: boolean
}

/** A bar chart and what is asked about it: the value of the bar `letter`, or with `null` which bar is largest. */
export interface ChartScene {
  readonly family: 'chart'
  readonly bars: readonly Bar[]
  readonly style: ChartStyle
  readonly ground: Rgb
  readonly asked: string | null
  readonly wording: number
}

/** The largest value of the axis. */
export const chartMax = 20
const valueWordings = ['What is the value of bar', 'Read the value of bar'] as const
const largestWordings = ['Which bar is the largest?', 'Name the largest bar.'] as const

/** Pixels around the plot; what is left is the plot. */
const frames = {
  upright: { left: 16, top: 11, right: 4, bottom: 15 },
  lying: { left: 15, top: 3, right: 14, bottom: 15 },
} as const
const between = 0.32
const outside = 0.2

const frameOf = (style: ChartStyle) => {
  const pad = style.upright ? frames.upright : frames.lying
  return { pad, width: imageSize - pad.left - pad.right, height: imageSize - pad.top - pad.bottom }
}

/** The values that the axis names. */
const ticks = [0, 5, 10, 15, 20] as const

/** A straight line of one pixel; its ends are whole pixels from the plot's corner, whose middles it runs through. */
const line = (c: SKRSContext2D, x: number, y: number, toX: number, toY: number): void => {
  c.beginPath()
  c.moveTo(x + 0.5, y + 0.5)
  c.lineTo(toX + 0.5, toY + 0.5)
  c.stroke()
}

/**
 * Draws axes, bars and values, the plot's corner at (0, 0), as Vega draws them of the Vega-Lite specification that stands in the
 * test of this file: to the pixel. Vega itself would be most of what loading this package takes.
 */
const drawChart = (c: SKRSContext2D, style: ChartStyle, bars: readonly Bar[]): void => {
  const { pad, width, height } = frameOf(style)
  const { upright } = style
  const ink = style.dark ? '#eee' : '#222'
  const font = `Sailwright ${style.dark ? 'slab' : 'sans'}`
  const places = layout(style, bars).map(({ bar }) => ({ ...bar, x: bar.x - pad.left, y: bar.y - pad.top }))
  /** How far a value lies along its axis. */
  const along = (value: number): number =>
    upright ? height * (1 - value / chartMax) : (width * value) / chartMax
  const write = (text: string, x: number, y: number, align: 'left' | 'center' | 'right'): void => {
    c.textAlign = align
    c.fillText(text, x, y)
  }
  const names = (): void => {
    c.font = `13px ${font}`
    bars.forEach(({ letter }, i) => {
      const { x, y, width: across, height: down } = places[i]!
      if (upright) write(letter, x + across / 2, height + 12.5, 'center')
      else write(letter, -1.5, y + down / 2 + 4, 'right')
    })
    if (upright) line(c, 0, height, width, height)
    else line(c, 0, 0, 0, height)
  }
  const values = (): void => {
    for (const value of ticks) {
      const at = Math.round(along(value))
      if (upright) line(c, 0, at, -2, at)
      else line(c, at, height, at, height + 2)
    }
    c.font = `9px ${font}`
    for (const value of ticks)
      if (upright) write(`${value}`, -2.5, along(value) + 3.5, 'right')
      else
        write(
          ...([`${value}`, along(value) + 0.5, height + 10.5] as const),
          // the first and the last stay inside the plot
          value === 0 ? 'left' : value === chartMax ? 'right' : 'center',
        )
    if (upright) line(c, 0, height, 0, 0)
    else line(c, 0, height, width, height)
  }
  if (style.grid) {
    c.strokeStyle = style.dark ? '#5a5a5a' : '#ccc'
    for (const value of ticks) {
      const at = Math.round(along(value))
      if (upright) line(c, 0, at, width, at)
      else line(c, at, height, at, 0)
    }
  }
  c.strokeStyle = ink
  c.fillStyle = ink
  // the axis below first: lines that cross mix at their ends
  if (upright) {
    names()
    values()
  } else {
    values()
    names()
  }
  bars.forEach(({ rgb }, i) => {
    const { x, y, width: across, height: down } = places[i]!
    c.fillStyle = css(rgb)
    // as a path: where an edge lies inside a pixel, a rectangle mixes its colours a little otherwise
    c.beginPath()
    c.rect(x, y, across, down)
    c.fill()
  })
  if (!style.written) return
  c.fillStyle = ink
  c.font = `9px ${font}`
  bars.forEach(({ value }, i) => {
    const { x, y, width: across, height: down } = places[i]!
    if (upright) write(`${value}`, x + across / 2, y - 2, 'center')
    else write(`${value}`, x + across + 2, y + down / 2 + 3, 'left')
  })
}

/** The rectangles of bars and of their letters on the image, in pixels, by the arithmetic of a band scale. */
export const layout = (style: ChartStyle, bars: readonly Bar[]) => {
  const { pad, width, height } = frameOf(style)
  const step = (style.upright ? width : height) / (bars.length - between + 2 * outside)
  const band = step * (1 - between)
  return bars.map((bar, n) => {
    const start = step * outside + n * step
    const length = ((style.upright ? height : width) * bar.value) / chartMax
    const middle = start + band / 2
    return style.upright
      ? {
          bar: { x: pad.left + start, y: pad.top + height - length, width: band, height: length },
          letter: { x: pad.left + middle - 5, y: pad.top + height + 2, width: 10, height: 11 },
          number: { x: pad.left + middle - 6, y: pad.top + height - length - 9, width: 12, height: 8 },
        }
      : {
          bar: { x: pad.left, y: pad.top + start, width: length, height: band },
          letter: { x: pad.left - 13, y: pad.top + middle - 5, width: 10, height: 10 },
          number: { x: pad.left + length + 2, y: pad.top + middle - 4, width: 12, height: 8 },
        }
  })
}

const tones: readonly Rgb[] = [
  [70, 130, 180],
  [220, 110, 50],
  [60, 150, 85],
  [200, 60, 70],
  [130, 100, 190],
]

const ticksOf = (style: ChartStyle): Claim[] => {
  const { pad, width, height } = frameOf(style)
  return ticks.map((v) =>
    style.upright
      ? { name: 'axis', x: 1, y: pad.top + height * (1 - v / chartMax) - 5, width: 13, height: 10 }
      : {
          name: 'axis',
          x: pad.left + (width * v) / chartMax - 6,
          y: pad.top + height + 3,
          width: 12,
          height: 10,
        },
  )
}

/** Every bar's value in the order of the bars, `E=5 D=4`: the steps of an answer, which then looks up the one asked for. */
const readings = (s: ChartScene): string => s.bars.map((b) => `${b.letter}=${b.value}`).join(' ')

/** The content key of bars: letters with their values, in any order. */
export const barsKey = (bars: readonly Pick<Bar, 'letter' | 'value'>[]): string =>
  bars
    .map((b) => `${b.letter}${b.value}`)
    .sort()
    .join()

/** The chart family. The content key is the set of bars with their values. */
export const chart: TaskFamily<ChartScene> = {
  family: 'chart',
  draw: (r, level) => {
    const n = level === 1 ? 3 : level === 4 ? r.int(6, 7) : r.int(3, level === 2 ? 4 : 5)
    const letters = r.shuffle([...barLetters]).slice(0, n)
    let values: number[]
    do values = letters.map(() => r.int(0, chartMax))
    while (values.filter((v) => v === Math.max(...values)).length > 1)
    const style = {
      upright: r.chance(0.6),
      grid: r.chance(0.5),
      written: r.chance([1, 0.5, 0.25, 0][level - 1]!),
      dark: r.chance(0.25),
    }
    const one = r.pick(tones)
    const each = r.chance(0.4)
    const bars = letters.map((letter, i) => ({
      letter,
      value: values[i]!,
      rgb: near(each ? r.pick(tones) : one, each ? 20 : 8, r),
    }))
    const ground = near(
      style.dark
        ? [35, 38, 45]
        : r.pick([
            [255, 255, 255],
            [250, 246, 232],
            [236, 240, 246],
          ] as Rgb[]),
      5,
      r,
    )
    const asked = r.chance(2 / 3) ? r.pick(letters) : null
    return { family: 'chart', bars, style, ground, asked, wording: r.int(0, 1) }
  },
  key: (s) => barsKey(s.bars),
  image: (s) =>
    paint((c) => {
      c.fillStyle = css(s.ground)
      c.fillRect(0, 0, imageSize, imageSize)
      const { pad } = frameOf(s.style)
      c.save()
      c.translate(pad.left, pad.top)
      drawChart(c, s.style, s.bars)
      c.restore()
    }),
  patches: (s) => {
    const out = blankPatches()
    const places = layout(s.style, s.bars)
    const claims = (part: 'bar' | 'letter' | 'number', name: (b: Bar) => string): Claim[] =>
      s.bars.map((b, n) => ({ ...places[n]![part], name: name(b), value: b.value }))
    claim(out, ticksOf(s.style))
    if (s.style.written)
      claim(
        out,
        claims('number', () => 'number'),
      )
    claim(
      out,
      claims('bar', (b) => `bar ${b.letter}`),
    )
    claim(
      out,
      claims('letter', (b) => b.letter),
    )
    s.bars.forEach((b, n) => {
      const { bar, letter } = places[n]!
      const [endX, endY] = s.style.upright
        ? [bar.x + bar.width / 2, bar.y]
        : [bar.x + bar.width, bar.y + bar.height / 2]
      out.centres[patchAt(letter.x + letter.width / 2, letter.y + letter.height / 2)] = centreClass(b.letter)
      out.centres[patchAt(endX, endY)] = centreClass(`value ${b.value}`)
    })
    return out
  },
  caption: (s) => `${s.style.upright ? 'upright' : 'lying'} bars ${readings(s)}`,
  ask: (s) => {
    const largest = s.bars.reduce((a, b) => (b.value > a.value ? b : a))
    if (s.asked === null)
      return {
        question: largestWordings[s.wording]!,
        steps: `${readings(s)}, ${largest.letter}=${largest.value}`,
        answer: `${readings(s)}, ${largest.letter}=${largest.value}, so ${largest.letter}`,
        final: largest.letter,
      }
    const value = String(s.bars.find((b) => b.letter === s.asked)!.value)
    return {
      question: `${valueWordings[s.wording]!} ${s.asked}?`,
      steps: `${readings(s)}, ${s.asked}=${value}`,
      answer: `${readings(s)}, ${s.asked}=${value}, so ${value}`,
      final: value,
    }
  },
}
