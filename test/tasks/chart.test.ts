/**
 * A chart is drawn by hand, as Vega draws it of a Vega-Lite specification: the specification stands here, and every pixel of both
 * is compared.
 */
import type { SKRSContext2D } from '@napi-rs/canvas'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as vega from 'vega'
import { compile, type TopLevelSpec } from 'vega-lite'
import { random } from '../../src/random/index.ts'
import { css, imageSize, paint } from '../../src/tasks/canvas.ts'
import { type ChartScene, type ChartStyle, chart, chartMax } from '../../src/tasks/families/chart.ts'

/** Pixels around the plot. */
const frames = {
  upright: { left: 16, top: 11, right: 4, bottom: 15 },
  lying: { left: 15, top: 3, right: 14, bottom: 15 },
} as const

const specOf = (style: ChartStyle): TopLevelSpec => {
  const pad = style.upright ? frames.upright : frames.lying
  const ink = style.dark ? '#eee' : '#222'
  const faint = style.dark ? '#5a5a5a' : '#ccc'
  const font = `Sailwright ${style.dark ? 'slab' : 'sans'}`
  const names = {
    field: 'letter',
    type: 'nominal' as const,
    // an explicit order: a view that is used again would else keep the order in which it first saw the letters
    sort: { field: 'place', op: 'min' as const, order: 'ascending' as const },
    scale: { paddingInner: 0.32, paddingOuter: 0.2 },
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
  const text = style.upright
    ? ({ type: 'text', dy: -5, baseline: 'middle' } as const)
    : ({ type: 'text', dx: 2, align: 'left', baseline: 'middle' } as const)
  return {
    width: imageSize - pad.left - pad.right,
    height: imageSize - pad.top - pad.bottom,
    padding: pad,
    autosize: 'none',
    data: { name: 'bars', values: [{ place: 0, letter: 'A', value: 0, colour: '#000' }] },
    encoding: style.upright ? { x: names, y: values } : { x: values, y: names },
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

/** A scene's pixels as Vega draws it; each style is compiled once. */
const byVega = () => {
  const views = new Map<string, vega.View>()
  return (s: ChartScene): Uint8Array => {
    const { style } = s
    const key = JSON.stringify([style.upright, style.grid, style.written, style.dark])
    const view =
      views.get(key) ??
      new vega.View(vega.parse(compile(specOf(style)).spec), { renderer: 'none' }).initialize()
    views.set(key, view)
    const bars = s.bars.map((b, place) => ({
      ...{ place, letter: b.letter, value: b.value },
      colour: css(b.rgb),
    }))
    const pad = style.upright ? frames.upright : frames.lying
    return paint((c) => {
      c.fillStyle = css(s.ground)
      c.fillRect(0, 0, imageSize, imageSize)
      view.data('bars', bars).run()
      new CanvasRenderer(view.loader())
        .initialize(null, imageSize, imageSize, [pad.left, pad.top], 1, { externalContext: c })
        .render((view.scenegraph() as unknown as { readonly root: unknown }).root)
    }).data
  }
}

test('a chart is to the pixel what Vega draws of its specification, in every style, with any bars', () => {
  const vegas = byVega()
  const styles = new Set<string>()
  for (let i = 0; i < 400; i++) {
    const scene = chart.draw(random(29, 'charts', i), (1 + (i % 4)) as 1 | 2 | 3 | 4)
    // what a level leaves out is drawn too
    const { bars } = scene
    const style = { ...scene.style, written: bars.length < 6 && (i & 4) === 0, grid: (i & 8) === 0 }
    const s = { ...scene, style }
    styles.add(JSON.stringify(Object.values(style)))
    const [ours, theirs] = [chart.image(s).data, vegas(s)]
    const differ = theirs.reduce((n, v, at) => n + (v === ours[at] ? 0 : 1), 0)
    assert.is(differ, 0, `${JSON.stringify(s)}: ${differ} values of pixels differ`)
  }
  assert.is(styles.size, 16)
})

test.run()
