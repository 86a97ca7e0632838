/**
 * The rows of a user's data that a run has set aside, in words.
 *
 * @since 0.1.0
 */
import { grouped, inked, type Look } from '../terminal/index.ts'
import type { RunState } from './run-state.ts'

/** Rows that the terminal lists; the report lists more. */
const most = 20
/** Of rows with one reason. */
const mostAlike = 3

/** What rows of one kind have in common: numbers differ. */
const kindOf = (reason: string): string => reason.replace(/\d+/g, '0')

/**
 * `3 bad rows were set aside:` and a line for each, with its file, its line and what is wrong; of those of one kind the first few.
 * Undefined where there is none.
 *
 * @param reported whether there is a report, which lists more
 */
export const badRowsBlock = (
  { badRows: { rows, count } }: RunState,
  look: Look,
  reported = true,
): string | undefined => {
  if (count === 0) return undefined
  const kinds = new Map<string, number>()
  const listed: string[] = []
  for (const { file, line, reason } of rows) {
    const kind = kindOf(reason)
    const met = (kinds.get(kind) ?? 0) + 1
    kinds.set(kind, met)
    if (met <= mostAlike && listed.length < most)
      listed.push(`  ${file}:${line}: ${reason.replace(/\p{Cc}+/gu, ' ')}`)
  }
  const more = count - listed.length
  const alike = kinds.size === 1 && count === rows.length ? ' like these' : ''
  return [
    inked(
      look,
      'yellow',
      count === 1 ? '1 bad row was set aside:' : `${grouped(count)} bad rows were set aside:`,
    ),
    ...listed,
    ...(more > 0
      ? [
          `  … and ${grouped(more)} more${alike}${reported && rows.length > listed.length ? ': the report lists them' : ''}`,
        ]
      : []),
  ].join('\n')
}
