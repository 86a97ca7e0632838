/**
 * Characters on images of any shape: side by side where there is room across, below one another on a tall one. What an encoder
 * of any resolution is for.
 *
 * @since 0.1.0
 */
import {
  type Conversation,
  conversation,
  indexed,
  type Processor,
  type Question,
  type Source,
} from '../data/index.ts'
import { type Random, random } from '../random/index.ts'
import { onlySettings } from '../settings/index.ts'
import { css, drawGlyphs, drawInks, fonts, moved, paint } from './canvas.ts'
import type { Image } from './drawn.ts'
import { cells } from './families/read.ts'
import { partitionOf, sideOf } from './mixture.ts'
import { alphabet } from './patches.ts'
import type { Split } from './sample.ts'

/** The sides of an image in pixels, and how many characters are on it. */
export interface LineShape {
  readonly width: number
  readonly height: number
  readonly characters: readonly [least: number, most: number]
}

/** Shapes of as many pixels as a nano image has. */
export const lineShapes = {
  square: { width: 112, height: 112, characters: [2, 4] },
  wide: { width: 224, height: 56, characters: [5, 7] },
  tall: { width: 56, height: 224, characters: [5, 7] },
} as const satisfies Readonly<Record<string, LineShape>>

/** An image and what it says. */
export interface LineSample {
  readonly id: string
  readonly image: Image
  readonly text: string
}

/** Which samples to draw: each shape as likely. */
export interface Lines {
  readonly seed: string | number
  readonly split: Split
  readonly shapes: readonly LineShape[]
}

/** @throws SettingsError for a setting that is none */
const checked = (of: Lines): Lines => {
  onlySettings('lines', of, ['seed', 'split', 'shapes'])
  for (const [i, shape] of of.shapes.entries())
    onlySettings('lines', shape, ['width', 'height', 'characters'], `shapes[${i}]`)
  return of
}

/** Pixels from character to character, across and down. */
const [across, down] = [21, 28]
const margin = 3

/** A start from which things of `size` end inside `side`, on the grid of half a patch that the encoder knows. */
const startOf = (r: Random, side: number, size: number, middle: number): number => {
  const phase = (((3.5 - middle) % 7) + 7) % 7
  const first = Math.ceil((margin - phase) / 7)
  const last = Math.max(first, Math.floor((side - margin - size - phase) / 7))
  return phase + 7 * r.int(first, last) + r.real(-1, 1)
}

/** The i-th sample. Its text is on the split's side, decided by its hash alone. */
export const lineAt = ({ seed, split, shapes }: Lines, i: number): LineSample => {
  const r = random('lines', String(seed), split, i)
  const { width, height, characters } = r.pick(shapes)
  const side = sideOf(split)
  let text: string
  do text = Array.from({ length: r.int(...characters) }, () => r.pick([...alphabet])).join('')
  while (partitionOf(`read:${text}`) !== side)
  const upright = height > width
  const [columns, rows] = upright ? [1, text.length] : [text.length, 1]
  const set = cells(text, r.pick(fonts).name, r.real(15, 22), across)
  const x = startOf(r, width, columns * across, across / 2)
  const y = startOf(r, height, (rows - 1) * down + set.capHeight * 1.2, set.capHeight / 2)
  const glyphs = set.glyphs.flatMap((g, n) =>
    moved([upright ? { ...g, x: 0 } : g], x, y + (upright ? n * down : 0)),
  )
  const inks = drawInks(r)
  const image = paint(
    (c) => {
      c.fillStyle = css(inks.groundRgb)
      c.fillRect(0, 0, width, height)
      drawGlyphs(c, glyphs, set.font, set.fontSize, css(inks.inkRgb))
    },
    width,
    height,
  )
  return { id: `${split}/lines/${seed}/${i}`, image, text }
}

const request = 'What does it say?'
const asked = (p: Processor, { id, image, text }: LineSample): Conversation =>
  conversation(p, { id, request, answer: text, images: [image] })

const configOf = (kind: string, { seed, split, shapes }: Lines, processor: Processor) => ({
  ...{ kind, seed, split, processor: processor.config },
  shapes: shapes.map(({ width, height, characters }) => ({ width, height, characters: [...characters] })),
})

/** Conversations about such images. */
export const lines = (of: Lines, processor: Processor): Source<Conversation> =>
  indexed(configOf('lines', checked(of), processor), function* (from) {
    for (let i = from; ; i++) yield asked(processor, lineAt(of, i))
  })

/** Held-out questions about images of one shape: the same ones each time. */
export const heldOutLines = (
  { seed, shape }: { readonly seed: string | number; readonly shape: LineShape },
  processor: Processor,
): Source<Question> => {
  const of: Lines = { seed, split: 'heldout', shapes: [shape] }
  return indexed(configOf('heldOutLines', of, processor), function* (from) {
    for (let i = from; ; i++) {
      const sample = lineAt(of, i)
      yield { conversation: asked(processor, sample), question: request, expected: sample.text }
    }
  })
}
