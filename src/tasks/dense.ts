/**
 * Images only for pretraining the vision encoder: full of labelled things, so that every image teaches dozens of
 * patches where a task's image teaches a handful. They ask nothing and belong to no family of task.
 *
 * @since 0.1.0
 */
import { random } from '../random/index.ts'
import { onlySettings } from '../settings/index.ts'
import { css, drawGlyphs, drawInks, fonts, type Glyph, imageSize, moved, paint } from './canvas.ts'
import {
  drawGround,
  placeShapes,
  type Shape,
  shapePatches,
  shapesImage,
  smallestShape,
  toneOf,
} from './families/count.ts'
import { cells, onGrid } from './families/read.ts'
import { type Mixture, MixtureError, sampleAt } from './mixture.ts'
import { alphabet, blankPatches, claimGlyphs, shapeColours, shapeKinds } from './patches.ts'
import type { Family, Image, PatchLabels } from './sample.ts'

/** An image with the labels of its patches. */
export interface Labelled {
  readonly id: string
  readonly image: Image
  readonly patches: PatchLabels
}

/** Weights: images full of text, images full of shapes, bar charts, and images as the tasks have them. */
export interface DenseMixture {
  readonly seed: string | number
  readonly weights: {
    readonly text: number
    readonly shapes: number
    readonly bars: number
    readonly tasks: number
  }
}

const kinds = ['text', 'shapes', 'bars', 'tasks'] as const

/** @throws MixtureError for a weight that cannot be, SettingsError for a setting that is none */
export const checkedDense = (mixture: DenseMixture): DenseMixture => {
  onlySettings('dense mixture', mixture, ['seed', 'weights'])
  const weights = onlySettings('dense mixture', mixture.weights, kinds, 'weights')
  for (const kind of kinds)
    if (!(weights[kind] >= 0 && Number.isFinite(weights[kind])))
      throw new MixtureError(`the weight of '${kind}' must be a number from 0, not ${weights[kind]}`)
  return mixture
}

/** The mixture that the nano vision encoder is pretrained with. */
export const denseWeights: DenseMixture['weights'] = { text: 0.5, shapes: 0.15, bars: 0.2, tasks: 0.15 }

const characters = [...`${alphabet}+-=`]
const numerals = [...'0123456789+-=']

/** Lines of random characters from top to bottom, each line in a font and size of its own. */
const text = (seed: string, i: number): Labelled => {
  const r = random(seed, 'dense text', i)
  const inks = drawInks(r)
  const lines: { glyphs: Glyph[]; font: string; fontSize: number }[] = []
  const first = r.int(1, 3)
  for (let middle = 3.5 + 7 * first; ; ) {
    // cells of one patch hold written arithmetic only, as its family sets it
    const narrow = r.chance(0.3)
    const pitch = narrow ? 14 : 21
    const from = narrow ? numerals : characters
    const spelled = Array.from({ length: Math.floor((imageSize - 6) / pitch) }, () => r.pick(from)).join('')
    const line = cells(spelled, r.pick(fonts).name, narrow ? r.real(13, 17) : r.real(15, 24), pitch)
    const x = onGrid(r, line.width, pitch / 2)
    const y = middle - line.capHeight / 2 + r.real(-1, 1)
    if (y + line.capHeight > imageSize - 3) break
    lines.push({ glyphs: moved(line.glyphs, x, y), font: line.font, fontSize: line.fontSize })
    middle += 7 * Math.max(narrow ? 3 : 4, Math.ceil((line.capHeight + 4) / 7))
  }
  const image = paint((c) => {
    c.fillStyle = css(inks.groundRgb)
    c.fillRect(0, 0, imageSize, imageSize)
    for (const line of lines) drawGlyphs(c, line.glyphs, line.font, line.fontSize, css(inks.inkRgb))
  })
  const patches = blankPatches()
  claimGlyphs(
    patches,
    lines.flatMap((l) => l.glyphs),
  )
  return { id: `dense/text/${seed}/${i}`, image, patches }
}

/** Seven to twelve shapes of any kind and colour. */
const shapes = (seed: string, i: number): Labelled => {
  const r = random(seed, 'dense shapes', i)
  const places = placeShapes(
    r,
    Array.from({ length: r.int(7, 12) }, () => r.int(smallestShape, 18)),
  )
  const drawn: Shape[] = places.map((place) => {
    const colour = r.pick(shapeColours)
    return { ...place, colour, kind: r.pick(shapeKinds), rgb: toneOf(colour, r) }
  })
  const ground = drawGround(r)
  const image = shapesImage(ground, drawn)
  return { id: `dense/shapes/${seed}/${i}`, image, patches: shapePatches(drawn) }
}

const tasks = (seed: string, i: number, of: readonly Family[]): Labelled => {
  const mixture: Mixture = {
    seed: `dense/${seed}`,
    split: 'bases',
    weights: Object.fromEntries(of.map((family) => [family, 1])),
    levels: of.length === 1 ? [3, 3] : [1, 3],
  }
  return sampleAt(mixture, i)
}

/** The i-th image of a mixture: a pure function of the mixture and i. No held-out content occurs in any. */
export const labelledAt = (mixture: DenseMixture, i: number): Labelled => {
  const { weights } = mixture
  const seed = String(mixture.seed)
  switch (
    random(seed, 'dense', i).weighted(
      kinds,
      kinds.map((k) => weights[k]),
    )
  ) {
    case 'text':
      return text(seed, i)
    case 'shapes':
      return shapes(seed, i)
    case 'bars':
      return tasks(seed, i, ['chart'])
    case 'tasks':
      return tasks(seed, i, ['read', 'count', 'chart', 'arithmetic'])
  }
}
