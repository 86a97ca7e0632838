/**
 * How often a text says the same.
 *
 * @since 0.1.0
 */

/**
 * The share of n-grams that have been before, from 0 (none) to below 1; 0 where there are fewer than `size` entries.
 *
 * @category verifiers
 */
export const repeatedShare = (entries: readonly (string | number)[], size: number): number => {
  if (entries.length < size) return 0
  // each distinct n-gram gets a number, built up entry by entry
  const ids = new Map<string | number, number>()
  let grams = entries.map((entry) => {
    const id = ids.get(entry) ?? ids.size
    ids.set(entry, id)
    return id
  })
  const single = [...grams]
  for (let n = 1; n < size; n++) {
    const pairs = new Map<string, number>()
    grams = grams.slice(0, -1).map((gram, i) => {
      const key = `${gram} ${single[i + n]}`
      const id = pairs.get(key) ?? pairs.size
      pairs.set(key, id)
      return id
    })
  }
  return 1 - new Set(grams).size / grams.length
}
