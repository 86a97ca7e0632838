/** The error function in float64, which JavaScript's `Math` lacks. */

/**
 * The error function, accurate to about 1e-15.
 *
 * erf x = 2/√π · e^{−x²} · Σₙ 2ⁿ x^{2n+1} / (1·3·…·(2n+1)): NIST Digital Library of Mathematical Functions, 7.6.2. All
 * terms have one sign, so nothing cancels. Beyond |x| = 6 the result is ±1 in 64 bits.
 *
 * @category evaluation
 */
export const erf64 = (x: number): number => {
  if (Number.isNaN(x)) return x
  if (Math.abs(x) > 6) return Math.sign(x)
  const y = x * x
  let term = x
  let sum = x
  for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
    term *= (2 * y) / (2 * n + 1)
    sum += term
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-y) * sum
}
