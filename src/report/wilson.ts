/**
 * How sure a share is.
 *
 * @since 0.1.0
 */

/**
 * Wilson's score interval of a share (Wilson 1927, without continuity correction): where the true share lies with 95 %
 * confidence when `correct` of `total` independent samples were right. Both bounds lie in [0, 1]; of nothing, [0, 1].
 */
export const wilson = (correct: number, total: number, z = 1.959963984540054): readonly [number, number] => {
  if (total <= 0) return [0, 1]
  const p = correct / total
  const z2 = (z * z) / total
  const centre = (p + z2 / 2) / (1 + z2)
  const half = (z * Math.sqrt((p * (1 - p)) / total + z2 / (4 * total))) / (1 + z2)
  return [Math.max(0, centre - half), Math.min(1, centre + half)]
}

/**
 * The interval of a difference of two shares of independent samples, from their own intervals (Newcombe 1998, "Interval
 * estimation for the difference between independent proportions", method 10): where `b`'s share less `a`'s lies with 95 %
 * confidence.
 */
export const wilsonDifference = (
  a: { readonly correct: number; readonly total: number },
  b: { readonly correct: number; readonly total: number },
): { readonly difference: number; readonly low: number; readonly high: number } => {
  const [p, q] = [a.correct / a.total, b.correct / b.total]
  const [[al, ah], [bl, bh]] = [wilson(a.correct, a.total), wilson(b.correct, b.total)]
  const difference = q - p
  return {
    difference,
    low: difference - Math.hypot(q - bl, ah - p),
    high: difference + Math.hypot(bh - q, p - al),
  }
}
