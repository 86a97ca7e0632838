/**
 * Bar charts through Vega-Lite: three to five bars (six or seven at level 4, without written values) named by capitals, values 0 to 20, an axis; upright or lying, with
 * and without grid lines and written values, light and dark. The question asks for a bar's value or the largest bar.
 *
 * Each style is compiled once; a chart then only swaps its data.
 *
 * @since 0.1.0
 */
import type { SKRSContext2D } from '@napi-rs/canvas'
import * as vega from 'vega'
import { compile, type TopLevelSpec } from 'vega-lite'
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

const specOf = (style: ChartStyle): TopLevelSpec => {
  const { pad, width, height } = frameOf(style)
  const ink = style.dark ? '#eee' : '#222'
  const faint = style.dark ? '#5a5a5a' : '#ccc'
  const font = `Sailwright ${style.dark ? 'slab' : 'sans'}`
  const names = {
    field: 'letter',
    type: 'nominal' as const,
    // an explicit order: a view that is used again would else keep the order in which it first saw the letters
    sort: { field: 'place', op: 'min' as const, order: 'ascending' as const },
    scale: { paddingInner: between, paddingOuter: outside },
    axis: { labelAngle: 0, labelFontSize: 13, ticks: false, labelPadding: 2, domainColor: ink },
  }
  const values = {
    field: 'value',
    type: 'quantitative' as const,
    scale: { domain: [0, chartMax], nice: false },
    axis: {
      values: [0, 5, 10, 15, 20],
      labelFontSize: 9,
      tickSize: 2,
      labelPadding: 1,
      labelOverlap: false,
      grid: style.grid,
      domainColor: ink,
      tickColor: ink,
    },
  }
  const along = style.upright ? { x: names, y: values } : { x: values, y: names }
  const text = style.upright
    ? ({ type: 'text', dy: -5, baseline: 'middle' } as const)
    : ({ type: 'text', dx: 2, align: 'left', baseline: 'middle' } as const)
  return {
    width,
    height,
    padding: pad,
    autosize: 'none',
    data: { name: 'bars', values: [{ place: 0, letter: 'A', value: 0, colour: '#000' }] },
    encoding: along,
    layer: [
      { mark: 'bar', encoding: { color: { field: 'colour', type: 'nominal', scale: null } } },
      ...(style.written
        ? [
            {
              mark: { ...text, font, fontSize: 9, color: ink },
              encoding: { text: { field: 'value', type: 'quantitative' as const } },
            },
          ]
        : []),
    ],
    config: {
      background: 'transparent',
      view: { stroke: null },
      axis: { title: null, labelColor: ink, labelFont: font, gridColor: faint },
    },
  } as TopLevelSpec
}

// Vega exports its canvas renderer, but its type declarations leave it out.
interface Renderer {
  initialize(
    element: null,
    width: number,
    height: number,
    origin: readonly [number, number],
    scale: number,
    options: { readonly externalContext: SKRSContext2D },
  ): { render(scene: unknown): unknown }
}
const { CanvasRenderer } = vega as unknown as { CanvasRenderer: new (loader: unknown) => Renderer }

const views = new Map<string, vega.View>()
const viewOf = (style: ChartStyle): vega.View => {
  const key = JSON.stringify([style.upright, style.grid, style.written, style.dark])
  let view = views.get(key)
  if (view === undefined) {
    view = new vega.View(vega.parse(compile(specOf(style)).spec), { renderer: 'none' }).initialize()
    views.set(key, view)
  }
  return view
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
  return [0, 5, 10, 15, 20].map((v) =>
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
      const view = viewOf(s.style)
      view
        .data(
          'bars',
          s.bars.map((b, place) => ({ place, letter: b.letter, value: b.value, colour: css(b.rgb) })),
        )
        .run()
      const { pad } = frameOf(s.style)
      c.save()
      new CanvasRenderer(view.loader())
        .initialize(null, imageSize, imageSize, [pad.left, pad.top], 1, { externalContext: c })
        .render((view.scenegraph() as unknown as { readonly root: unknown }).root)
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
