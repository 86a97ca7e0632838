/**
 * Reading: a string of two to four characters (five to seven at level 4) in one of five fonts, anywhere in the image, with
 * capitals of 13 to 24 pixels, in any of the colours, on any of the grounds.
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
  placeInImage,
  setLine,
} from '../canvas.ts'
import type { Image, PatchLabels } from '../drawn.ts'
import { alphabet, blankPatches, claimGlyphs } from '../patches.ts'
import type { TaskFamily } from './family.ts'

/** A string and how it is set. Lengths in pixels. */
export interface ReadScene {
  readonly family: 'read'
  readonly text: string
  readonly font: string
  readonly fontSize: number
  /** Height of the capitals. */
  readonly capHeight: number
  readonly inks: Inks
  readonly glyphs: readonly Glyph[]
  readonly wording: number
}

const wordings = ['What does it say?', 'Read the text.', 'Which characters are shown?'] as const
const margin = 3

/** The places of {@link onGrid}: half a patch. */
const grid = 7
/** How far a line may be off the grid, either way. */
const jitter = 1

/** A start from which a thing of `size` ends in the image and has its middle at 3.5 + 7k, up to the jitter. */
export const onGrid = (r: Random, size: number, firstMiddle: number): number => {
  const phase = (((grid / 2 - firstMiddle) % grid) + grid) % grid
  const last = Math.floor((imageSize - margin - size - phase) / grid)
  const first = Math.ceil((margin - phase) / grid)
  return phase + grid * r.int(Math.min(first, last), last) + r.real(-jitter, jitter)
}

/**
 * A line of characters in cells of one width, as large as `capHeight` says, or smaller where a character would not fit its
 * cell. Its left end is at 0.
 */
export const cells = (
  text: string,
  font: string,
  capHeight: number,
  pitch: number,
): Pick<ReadScene, 'font' | 'fontSize' | 'capHeight' | 'glyphs'> & { readonly width: number } => {
  const capOf = setLine('H', font, 1, 0, 0).height
  const widest = Math.max(...setLine(text, font, capHeight / capOf, 0, 0).glyphs.map((g) => g.width))
  const cap = capHeight * Math.min(1, pitch / widest)
  const line = setLine(text, font, cap / capOf, pitch, 0)
  return { font, fontSize: cap / capOf, capHeight: cap, glyphs: line.glyphs, width: line.width }
}

/**
 * Puts a line somewhere in the image. The middles of its characters lie on a grid of half a patch, up to a pixel: at
 * this scale an encoder with patches of 14 pixels would otherwise have to learn each character at 196 offsets.
 */
export const placeLine = (
  r: Random,
  text: string,
  capHeight: number,
  pitch: number,
): Pick<ReadScene, 'font' | 'fontSize' | 'capHeight' | 'glyphs'> => {
  const { width, glyphs, ...set } = cells(text, r.pick(fonts).name, capHeight, pitch)
  const x = onGrid(r, width, pitch / 2)
  // Q and J may reach below the baseline by a fifth of the height
  const y = onGrid(r, set.capHeight * 1.2, set.capHeight / 2)
  return { ...set, glyphs: moved(glyphs, x, y) }
}

/** `large` or `small`. */
const sizeWord = (capHeight: number): string => (capHeight >= 19 ? 'large' : 'small')

/** The middle of a line of glyphs, as {@link placeInImage} names it. */
const placeOfLine = (glyphs: readonly Glyph[]): string => {
  const x = Math.min(...glyphs.map((g) => g.x))
  const y = Math.min(...glyphs.map((g) => g.y))
  const right = Math.max(...glyphs.map((g) => g.x + g.width))
  const bottom = Math.max(...glyphs.map((g) => g.y + g.height))
  return placeInImage({ x, y, width: right - x, height: bottom - y })
}

/** `large red on white, top left`. */
export const looks = (scene: Pick<ReadScene, 'capHeight' | 'inks' | 'glyphs'>): string =>
  `${sizeWord(scene.capHeight)} ${scene.inks.ink} on ${scene.inks.ground}, ${placeOfLine(scene.glyphs)}`

/** A scene of characters alone. */
type Line = Pick<ReadScene, 'font' | 'fontSize' | 'inks' | 'glyphs'>

/** Renders characters on their ground. */
export const lineImage = (s: Line): Image =>
  paint((c) => {
    c.fillStyle = css(s.inks.groundRgb)
    c.fillRect(0, 0, imageSize, imageSize)
    drawGlyphs(c, s.glyphs, s.font, s.fontSize, css(s.inks.inkRgb))
  })

/** The labels of an image of characters. */
export const linePatches = ({ glyphs }: Line): PatchLabels => {
  const out = blankPatches()
  claimGlyphs(out, glyphs)
  return out
}

/** The read family. The content key is the string, whatever it looks like. */
export const read: TaskFamily<ReadScene> = {
  family: 'read',
  draw: (r, level) => {
    const long = level === 4
    const text = Array.from({ length: long ? r.int(5, 7) : level + 1 }, () => r.pick([...alphabet])).join('')
    const line = long ? placeLine(r, text, r.real(13, 17), 14) : placeLine(r, text, r.real(15, 24), 21)
    return { family: 'read', text, ...line, inks: drawInks(r), wording: r.int(0, wordings.length - 1) }
  },
  key: (s) => s.text,
  image: lineImage,
  patches: linePatches,
  caption: (s) => `text ${s.text}, ${looks(s)}`,
  ask: (s) => ({ question: wordings[s.wording]!, steps: '', answer: s.text, final: s.text }),
}
