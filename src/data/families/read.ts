/**
 * Reading: a string of two to four characters in one of five fonts, anywhere in the picture, at any size from 18 to 26
 * pixels, in any of the colours, on any of the grounds.
 *
 * @since 0.1.0
 */
import {
  css,
  drawGlyphs,
  drawInks,
  fonts,
  type Glyph,
  type Inks,
  moved,
  paint,
  pictureSize,
  placeOf,
  setLine,
} from '../canvas.ts'
import { alphabet, blankPatches, claimGlyphs } from '../patches.ts'
import type { Random } from '../random.ts'
import { slotted, type TaskFamily } from './family.ts'

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

/** Sets text as large as `capHeight` says, or smaller if it would not fit; puts it at a random place. */
export const placeLine = (
  r: Random,
  text: string,
  capHeight: number,
  minCell: number,
  spacing: number,
): Pick<ReadScene, 'font' | 'fontSize' | 'capHeight' | 'glyphs'> => {
  const font = r.pick(fonts).name
  const capOf = setLine('H', font, 1, 0, 0).height
  let cap = capHeight
  let line = setLine(text, font, cap / capOf, minCell, spacing)
  while (line.width > pictureSize - 2 * margin) {
    cap *= 0.95
    line = setLine(text, font, cap / capOf, minCell * (cap / capHeight), spacing * (cap / capHeight))
  }
  // Q and J may reach below the baseline by a fifth of the height
  const x = r.real(margin, pictureSize - margin - line.width)
  const y = r.real(margin, pictureSize - margin - line.height * 1.2)
  return { font, fontSize: cap / capOf, capHeight: cap, glyphs: moved(line.glyphs, x, y) }
}

/** `large` or `small`. */
export const sizeWord = (capHeight: number): string => (capHeight >= 22 ? 'large' : 'small')

/** The middle of a line of glyphs, as `placeOf` names it. */
export const placeOfLine = (glyphs: readonly Glyph[]): string => {
  const x = Math.min(...glyphs.map((g) => g.x))
  const y = Math.min(...glyphs.map((g) => g.y))
  const right = Math.max(...glyphs.map((g) => g.x + g.width))
  const bottom = Math.max(...glyphs.map((g) => g.y + g.height))
  return placeOf({ x, y, width: right - x, height: bottom - y })
}

/** `large red on white, top left`. */
export const looks = (scene: Pick<ReadScene, 'capHeight' | 'inks' | 'glyphs'>): string =>
  `${sizeWord(scene.capHeight)} ${scene.inks.ink} on ${scene.inks.ground}, ${placeOfLine(scene.glyphs)}`

/** The words of a line of glyphs, for `slotted`. */
export const glyphWords = (glyphs: readonly Glyph[]) =>
  glyphs.map((g) => ({ word: g.character, x: g.x + g.width / 2, y: g.y + g.height / 2 }))

/** The read family. The content key is the string, whatever it looks like. */
export const read: TaskFamily<ReadScene> = {
  family: 'read',
  draw: (r, level) => {
    const text = Array.from({ length: level + 1 }, () => r.pick([...alphabet])).join('')
    const line = placeLine(r, text, r.real(18, 26), 19, r.real(0, 4))
    return { family: 'read', text, ...line, inks: drawInks(r), wording: r.int(0, wordings.length - 1) }
  },
  key: (s) => s.text,
  picture: (s) =>
    paint((c) => {
      c.fillStyle = css(s.inks.groundRgb)
      c.fillRect(0, 0, pictureSize, pictureSize)
      drawGlyphs(c, s.glyphs, s.font, s.fontSize, css(s.inks.inkRgb))
    }),
  patches: (s) => {
    const out = blankPatches()
    claimGlyphs(out, s.glyphs)
    return out
  },
  caption: (s) => `text ${s.text}, ${looks(s)}`,
  ask: (s) => ({ question: wordings[s.wording]!, answer: s.text, final: s.text }),
  slots: (s) => slotted(glyphWords(s.glyphs), ''),
}
