/**
 * What somebody may have meant.
 *
 * @since 0.1.0
 */

/**
 * The number of single-character insertions, deletions, replacements and swaps of neighbours that turn one text into the
 * other (optimal string alignment distance).
 */
export const editDistance = (a: string, b: string): number => {
  let before: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      let best = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (same ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        best = Math.min(best, before[j - 2]! + 1)
      row.push(best)
    }
    before = last
    last = row
  }
  return last[b.length]!
}

/** The nearest of the known words, where one is near enough to be meant: a third of its letters, or a beginning. */
export const nearest = (word: string, known: readonly string[]): string | undefined => {
  const lower = word.toLowerCase()
  const ranked = known
    .map((k) => {
      const distance = editDistance(lower, k.toLowerCase())
      const begins = lower.length >= 2 && k.toLowerCase().startsWith(lower)
      return {
        k,
        distance: begins ? Math.min(distance, 1) : distance,
        room: Math.max(1, Math.floor(Math.max(k.length, word.length) / 3)),
      }
    })
    .filter((r) => r.distance <= r.room)
    .sort((x, y) => x.distance - y.distance)
  return ranked[0]?.k
}

/**
 * The first name of a record that is not known, and what to say of it; undefined where all are: a setting that is misspelt would
 * do nothing and say nothing.
 */
export const unknownName = (
  x: object,
  known: readonly string[],
): { readonly name: string; readonly what: string } | undefined => {
  const name = Object.keys(x).find((k) => !known.includes(k))
  if (name === undefined) return undefined
  return { name, what: `there is no such setting; there are ${known.join(', ')}.${didYouMean(name, known)}` }
}

/** ` Did you mean 'summary'?`, or nothing where nothing is near. */
export const didYouMean = (word: string, known: readonly string[]): string => {
  const near = nearest(word, known)
  return near === undefined ? '' : ` Did you mean '${near}'?`
}
