/**
 * The drawing surface that all families share: fonts from npm packages (a fresh machine has none), one reused canvas,
 * named colours, and glyphs whose boxes are known so that patches can be labelled.
 *
 * @since 0.1.0
 */
import { createRequire } from 'node:module'
import { createCanvas, GlobalFonts, type SKRSContext2D } from '@napi-rs/canvas'
import type { Random } from '../random/index.ts'
import type { Image } from './drawn.ts'

/** Width and height of a nano image in pixels. */
export const imageSize = 112

/** A font: its name in captions and scenes, and the family name under which the canvas knows it. */
export interface Font {
  readonly name: string
  readonly family: string
}

const fontFiles = [
  ['sans', 'open-sans'],
  ['slab', 'roboto-slab'],
  ['mono', 'inconsolata'],
  ['serif', 'lora'],
  ['comic', 'comic-neue'],
] as const

/** The five fonts, all bold. */
export const fonts: readonly Font[] = fontFiles.map(([name]) => ({ name, family: `Sailwright ${name}` }))

/** Thrown where a font package or its file is missing. */
export class FontError extends Error {
  readonly tag = 'FontMissing'
  constructor(file: string, cause: unknown) {
    super(`the font file ${file} cannot be loaded; is its package installed? Run npm ci`, { cause })
    this.name = 'FontError'
  }
}

let registered = false
const registerFonts = (): void => {
  if (registered) return
  const require = createRequire(import.meta.url)
  for (const [name, pkg] of fontFiles) {
    const file = `@fontsource/${pkg}/files/${pkg}-latin-700-normal.woff2`
    let key: unknown
    try {
      key = GlobalFonts.registerFromPath(require.resolve(file), `Sailwright ${name}`)
    } catch (cause) {
      throw new FontError(file, cause)
    }
    if (!key) throw new FontError(file, 'the canvas refused it')
  }
  registered = true
}

const surfaces = new Map<string, SKRSContext2D>()
const context = (width = imageSize, height = imageSize): SKRSContext2D => {
  registerFonts()
  const size = `${width} × ${height}`
  const surface =
    surfaces.get(size) ?? createCanvas(width, height).getContext('2d', { willReadFrequently: true } as never)
  surfaces.set(size, surface)
  return surface
}

/** Draws on a clean white surface and reads the pixels back. The surface is reused; `paint` must not keep it. */
export const paint = (
  draw: (c: SKRSContext2D) => void,
  width: number = imageSize,
  height: number = imageSize,
): Image => {
  const c = context(width, height)
  c.reset()
  c.fillStyle = '#fff'
  c.fillRect(0, 0, width, height)
  draw(c)
  const rgba = c.getImageData(0, 0, width, height).data
  const data = new Uint8Array(width * height * 3)
  for (let i = 0, j = 0; j < data.length; i += 4) {
    data[j++] = rgba[i]!
    data[j++] = rgba[i + 1]!
    data[j++] = rgba[i + 2]!
  }
  return { width, height, channels: 3, data }
}

const measures = new Map<string, number>()
const measured = (font: string, what: string, measure: (c: SKRSContext2D) => number): number => {
  const key = `${font}|${what}`
  const known = measures.get(key)
  if (known !== undefined) return known
  const c = context()
  c.reset()
  c.font = `100px "Sailwright ${font}"`
  const value = measure(c) / 100
  measures.set(key, value)
  return value
}

/** The width, in ems, that a character takes in a font. */
export const advanceOf = (font: string, character: string): number =>
  measured(font, character, (c) => c.measureText(character).width)

/** The height, in ems, of a font's capitals. */
export const capHeightOf = (font: string): number =>
  measured(font, 'cap height', (c) => c.measureText('H').actualBoundingBoxAscent)

/** A rectangle in pixels. */
export interface Box {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

/** One character on the image: the box of its cell, from its baseline up to the height of a capital. */
export interface Glyph extends Box {
  readonly character: string
}

/**
 * Sets characters side by side, each in the middle of its cell. A cell is at least `minCell` pixels wide, so that no
 * character disappears between two patches.
 *
 * @returns glyph boxes with the line's top left corner at (0, 0), and the line's size, in pixels
 */
export const setLine = (
  text: string,
  font: string,
  size: number,
  minCell: number,
  spacing: number,
): { readonly glyphs: readonly Glyph[]; readonly width: number; readonly height: number } => {
  const height = capHeightOf(font) * size
  const glyphs: Glyph[] = []
  let x = 0
  for (const character of text) {
    const width = Math.max(advanceOf(font, character) * size + spacing, minCell)
    glyphs.push({ character, x, y: 0, width, height })
    x += width
  }
  return { glyphs, width: x, height }
}

/** Moves glyphs by (dx, dy) pixels. */
export const moved = (glyphs: readonly Glyph[], dx: number, dy: number): Glyph[] =>
  glyphs.map((g) => ({ ...g, x: g.x + dx, y: g.y + dy }))

/** Draws glyphs in their cells. */
export const drawGlyphs = (
  c: SKRSContext2D,
  glyphs: readonly Glyph[],
  font: string,
  size: number,
  colour: string,
): void => {
  c.font = `${size}px "Sailwright ${font}"`
  c.fillStyle = colour
  c.textBaseline = 'alphabetic'
  c.textAlign = 'left'
  for (const g of glyphs) {
    const inset = (g.width - advanceOf(font, g.character) * size) / 2
    c.fillText(g.character, g.x + inset, g.y + g.height)
  }
}

/** Red, green and blue, 0 to 255. */
export type Rgb = readonly [number, number, number]

/** Dark colours, for text on a light ground. */
export const darkColours: Readonly<Record<string, Rgb>> = {
  black: [20, 20, 20],
  red: [170, 15, 25],
  green: [0, 100, 35],
  blue: [20, 45, 185],
  purple: [110, 20, 135],
}

/** Light colours, for text on a dark ground and for grounds. */
export const lightColours: Readonly<Record<string, Rgb>> = {
  white: [248, 248, 248],
  yellow: [252, 238, 130],
  pink: [252, 212, 220],
  gray: [222, 222, 222],
}

const clamp = (x: number): number => Math.max(0, Math.min(255, Math.round(x)))

/** A colour near another: each channel moves by up to `by`. */
export const near = (colour: Rgb, by: number, r: Random): Rgb => [
  clamp(colour[0] + r.int(-by, by)),
  clamp(colour[1] + r.int(-by, by)),
  clamp(colour[2] + r.int(-by, by)),
]

/** A colour as CSS writes it. */
export const css = (colour: Rgb): string => `rgb(${colour[0]},${colour[1]},${colour[2]})`

/** A ground and a text colour that can be told apart, with their names. */
export interface Inks {
  readonly ink: string
  readonly ground: string
  readonly inkRgb: Rgb
  readonly groundRgb: Rgb
}

/** Draws a dark colour on a light one (three times in four) or the other way round, a little off the named tones. */
export const drawInks = (r: Random): Inks => {
  const dark = r.pick(Object.keys(darkColours))
  const light = r.pick(Object.keys(lightColours))
  const darkRgb = near(darkColours[dark]!, 12, r)
  const lightRgb = near(lightColours[light]!, 7, r)
  return r.chance(3 / 4)
    ? { ink: dark, ground: light, inkRgb: darkRgb, groundRgb: lightRgb }
    : { ink: light, ground: dark, inkRgb: lightRgb, groundRgb: darkRgb }
}

/** `top left`, `center`, `bottom right` …: where the middle of a box lies, by thirds of the image. */
export const placeInImage = (box: Box): string => {
  const third = (at: number) => (at < imageSize / 3 ? 0 : at < (imageSize * 2) / 3 ? 1 : 2)
  const row = ['top', '', 'bottom'][third(box.y + box.height / 2)]!
  const column = ['left', '', 'right'][third(box.x + box.width / 2)]!
  return [row, column].filter((s) => s !== '').join(' ') || 'center'
}
