/**
 * Text for terminals: colours where they are wanted, tables that line up, lines that fit.
 *
 * @since 0.1.0
 */
import { stripVTControlCharacters } from 'node:util'

/** Where text goes: `process.stderr`, or a test's collector. */
export interface TextSink {
  readonly write: (text: string) => unknown
  readonly isTTY?: boolean
  readonly columns?: number
}

/** How text may look. */
export interface Look {
  readonly colour: boolean
  /** Cells a line. */
  readonly columns: number
}

/**
 * Colours on a terminal only; `NO_COLOR` (not empty) forbids them, `FORCE_COLOR` (not `0`) forces them, a dumb terminal
 * has none.
 */
export const lookOf = (
  sink: Pick<TextSink, 'isTTY' | 'columns'>,
  env: Readonly<Record<string, string | undefined>>,
): Look => ({
  colour:
    (env.NO_COLOR ?? '') !== ''
      ? false
      : (env.FORCE_COLOR ?? '') !== ''
        ? env.FORCE_COLOR !== '0'
        : sink.isTTY === true && env.TERM !== 'dumb',
  columns: sink.columns !== undefined && sink.columns > 0 ? sink.columns : 100,
})

/** The inks there are. */
export type Ink = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan'

const codes: Readonly<Record<Ink, readonly [number, number]>> = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
}

/** Text in an ink, or as it is where colour is off. */
export const inked = (look: Pick<Look, 'colour'>, ink: Ink, text: string): string => {
  const [on, off] = codes[ink]
  return look.colour && text !== '' ? `\x1b[${on}m${text}\x1b[${off}m` : text
}

const letters = new Intl.Segmenter(undefined, { granularity: 'grapheme' })

/** What takes two cells: East Asian wide and fullwidth characters, and emoji that are shown as pictures. */
const wide =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{16fe0}-\u{18cff}\u{1aff0}-\u{1b2ff}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}|^\p{Emoji}\ufe0f/u

/** What takes none by itself: marks without a letter, joiners, control characters. */
const unseen = /^[\p{Mn}\p{Me}\p{Cf}\p{Cc}]+$/u

/** Cells that a letter, with all its marks, takes. */
const cells = (letter: string): number => (unseen.test(letter) ? 0 : wide.test(letter) ? 2 : 1)

const lettersOf = (text: string): readonly string[] => Array.from(letters.segment(text), (s) => s.segment)

const plainAscii = /^[\x20-\x7e]*$/

/** Cells that a terminal gives a text: a wide character takes two, escape sequences and combining marks none. */
export const width = (text: string): number => {
  const shown = stripVTControlCharacters(text)
  return plainAscii.test(shown) ? shown.length : lettersOf(shown).reduce((sum, l) => sum + cells(l), 0)
}

/** At most that many cells on one line; what is cut ends in `…`. Inks are closed. */
export const clipLine = (text: string, columns: number): string => {
  if (width(text) <= columns) return text
  let room = columns - 1
  let out = ''
  for (const piece of text.split(escapes)) {
    if (piece.startsWith('\x1b')) out += piece
    else
      for (const letter of lettersOf(piece)) {
        room -= cells(letter)
        if (room >= 0) out += letter
        else break
      }
  }
  return `${out}…`
}

/** The rows that lines take in a terminal of that many columns, where longer ones go on in the next row. */
export const terminalRows = (text: string, columns: number): number =>
  text.split('\n').reduce((sum, line) => sum + Math.max(1, Math.ceil(width(line) / columns)), 0)

// biome-ignore lint/suspicious/noControlCharactersInRegex: an escape sequence begins with one
const escapes = /(\x1b\[\d+m)/

/** Puts a text into a field of that many cells. */
export const fit = (text: string, columns: number, align: 'left' | 'right' = 'left'): string => {
  const blank = ' '.repeat(Math.max(0, columns - width(text)))
  return align === 'left' ? text + blank : blank + text
}

/** A column of a table. */
export interface Column {
  readonly head: string
  readonly align?: 'left' | 'right'
}

/** A table with a line under its head; columns two blanks apart, no blanks at line ends. */
export const textTable = (
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  look: Pick<Look, 'colour'>,
): string => {
  // rows may be more than a call takes arguments
  const widths = columns.map((c, i) =>
    rows.reduce((most, r) => Math.max(most, width(r[i] ?? '')), width(c.head)),
  )
  const line = (cells: readonly string[]): string =>
    columns
      .map((c, i) => fit(cells[i] ?? '', widths[i]!, c.align))
      .join('  ')
      .trimEnd()
  return [
    inked(look, 'bold', line(columns.map((c) => c.head))),
    inked(look, 'dim', widths.map((w) => '─'.repeat(w)).join('  ')),
    ...rows.map(line),
  ].join('\n')
}

const eighths = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉']

/** A horizontal bar of up to `columns` blocks for a share between 0 and 1, to an eighth of a block. */
export const bar = (share: number, columns: number): string => {
  const parts = Math.round(Math.min(1, Math.max(0, Number.isFinite(share) ? share : 0)) * columns * 8)
  return '█'.repeat(Math.floor(parts / 8)) + eighths[parts % 8]!
}
