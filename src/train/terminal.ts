/**
 * Text for terminals: colours where they are wanted, tables that line up, lines that fit.
 *
 * @since 0.1.0
 */
import { stripVTControlCharacters } from 'node:util'

/** Where text goes: `process.stderr`, or a test's collector. */
export interface Sink {
  readonly write: (text: string) => unknown
  readonly isTTY?: boolean
  readonly columns?: number
}

/** How text may look. */
export interface Look {
  readonly colour: boolean
  /** Characters a line. */
  readonly columns: number
}

/**
 * Colours on a terminal only; `NO_COLOR` (not empty) forbids them, `FORCE_COLOR` (not `0`) forces them, a dumb terminal
 * has none.
 */
export const lookOf = (
  sink: Pick<Sink, 'isTTY' | 'columns'>,
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

/** Characters that a terminal shows of a text: escape sequences take no room. */
export const width = (text: string): number => [...stripVTControlCharacters(text)].length

/** At most that many characters on one line; what is cut ends in `…`. Inks are closed. */
export const clip = (text: string, columns: number): string => {
  if (width(text) <= columns) return text
  let room = columns - 1
  let out = ''
  for (const piece of text.split(escapes)) {
    if (piece.startsWith('\x1b')) out += piece
    else {
      const letters = [...piece]
      out += letters.slice(0, Math.max(0, room)).join('')
      room -= letters.length
    }
  }
  return `${out}…`
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: an escape sequence begins with one
const escapes = /(\x1b\[\d+m)/

/** Puts a text into a field of that many characters. */
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
  const widths = columns.map((c, i) => Math.max(width(c.head), ...rows.map((r) => width(r[i] ?? ''))))
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
