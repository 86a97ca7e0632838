/**
 * The rows of a user's data that a run has set aside, in words.
 *
 * @since 0.1.0
 */
import { grouped, inked, type Look } from '../terminal/index.ts'
import type { RunState } from './run-state.ts'

/** Rows that the terminal lists; the report lists more. */
const most = 20

/** `3 bad rows were set aside:` and a line for each, with its file, its line and what is wrong; undefined where there is none. */
export const badRowsBlock = ({ badRows: { rows, count } }: RunState, look: Look): string | undefined => {
  if (count === 0) return undefined
  const listed = rows
    .slice(0, most)
    .map(({ file, line, reason }) => `  ${file}:${line}: ${reason.replace(/\p{Cc}+/gu, ' ')}`)
  const more = count - listed.length
  return [
    inked(
      look,
      'yellow',
      count === 1 ? '1 bad row was set aside:' : `${grouped(count)} bad rows were set aside:`,
    ),
    ...listed,
    ...(more > 0
      ? [`  … and ${grouped(more)} more${rows.length > most ? ': the report lists them' : ''}`]
      : []),
  ].join('\n')
}
