/**
 * The options of a question of multiple choice, read from its text: `(A) 3 (B) 4`, `A. 3` and `A) 3` on lines of their own,
 * `\textbf{(A)}\ 3 \qquad \textbf{(B)}\ 4`.
 *
 * @since 0.1.0
 */

/** A question of multiple choice, taken apart. */
export interface Asked {
  /** What stands before the options. */
  readonly stem: string
  /** Texts by capital letter, from A on without a gap. */
  readonly options: Readonly<Record<string, string>>
  /** Lines after the last option. */
  readonly after: string
}

/** Where an option's mark begins and ends. */
interface Mark {
  readonly letter: string
  readonly start: number
  readonly end: number
}

/** In the order in which they are tried: what is in brackets may stand anywhere, `A.` and `A)` only where a line begins, or in a row. */
const marks: readonly RegExp[] = [
  /\\(?:text(?:bf|rm)?|mathrm|mathbf)\s*\{\s*\(\s*([A-J])\s*\)\s*\}(?:\\[ ,;:]|~)*/g,
  /\*{0,2}\(\s*([A-Ja-j])\s*\)\*{0,2}[ \t:.]*/g,
  /(?<=^|\n)[ \t]*[-*]?[ \t]*\*{0,2}([A-Ja-j])\s?[.):：、]\*{0,2}[ \t]*/g,
  /(?<=^|\s)([A-J])[.)](?=\s)[ \t]*/g,
]

/** The longest row A, B, … of marks, the last of those; undefined where there are fewer than two. Other marks are text. */
const rowOf = (text: string, pattern: RegExp): readonly Mark[] | undefined => {
  const rows: Mark[][] = []
  for (const m of text.matchAll(pattern)) {
    const letter = m[1]!.toUpperCase()
    const mark = { letter, start: m.index, end: m.index + m[0].length }
    const row = rows.at(-1)
    if (letter === 'A') rows.push([mark])
    else if (row !== undefined && letter.charCodeAt(0) === row.at(-1)!.letter.charCodeAt(0) + 1)
      row.push(mark)
  }
  const longest = rows.reduce<Mark[]>((best, row) => (row.length >= best.length ? row : best), [])
  return longest.length < 2 ? undefined : longest
}

const spaces = /^(?:\s|\\[ ,;:]|\\q?quad|~)+|(?:\s|\\[ ,;:]?|\\q?quad|~|[,;](?=\s*$))+$/g

/** An option's text without what sets it apart from the next, and without a dollar sign that has no partner. */
const cleaned = (text: string): string => {
  const bare = text.replaceAll(spaces, '').replaceAll(/\s*\n\s*/g, ' ')
  return (bare.match(/(?<!\\)\$/g)?.length ?? 0) % 2 === 1 ? bare.replace(/^\$|\$$/, '').trim() : bare
}

/**
 * Takes a question apart; undefined where it has no options.
 *
 * @category curation
 */
export const askedOf = (text: string): Asked | undefined => {
  for (const pattern of marks) {
    const row = rowOf(text, pattern)
    if (row === undefined) continue
    const last = row.at(-1)!
    const inLines = row.every(({ start }) => /(?:^|\n)\s*$/.test(text.slice(0, start)))
    const newline = text.indexOf('\n', last.end)
    // an option may begin on the line below its mark
    const below = newline >= 0 && text.slice(last.end, newline).trim() === ''
    const end = newline < 0 || below ? text.length : newline
    const ends = row.map((_, i) => row[i + 1]?.start ?? end)
    const options = row.map(
      ({ letter, end: from }, i) => [letter, cleaned(text.slice(from, ends[i]))] as const,
    )
    const before = text.slice(0, row[0]!.start)
    const opened = !inLines && /\$\s*$/.test(before) ? before.replace(/\$\s*$/, '') : before
    return { stem: opened.trim(), options: Object.fromEntries(options), after: text.slice(end).trim() }
  }
  return undefined
}
