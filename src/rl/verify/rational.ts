/**
 * Exact fractions of whole numbers, of bounded size: what would grow beyond it is undefined, so nothing takes long.
 *
 * @since 0.1.0
 */

/** A fraction in lowest terms; `d` is above 0. */
export interface Rational {
  readonly n: bigint
  readonly d: bigint
}

/** Digits that a numerator or denominator may have. */
const most = 10n ** 3000n
const mostBits = 9_966

const abs = (x: bigint): bigint => (x < 0n ? -x : x)

const gcd = (a: bigint, b: bigint): bigint => {
  let [x, y] = [abs(a), abs(b)]
  while (y !== 0n) [x, y] = [y, x % y]
  return x
}

/** `n / d`, or undefined where `d` is 0 or one of both is too large. */
export const rational = (n: bigint, d: bigint = 1n): Rational | undefined => {
  if (d === 0n || abs(n) > most || abs(d) > most) return undefined
  const g = d === 1n ? 1n : gcd(n, d)
  const sign = d < 0n ? -1n : 1n
  return { n: (sign * n) / g, d: (sign * d) / g }
}

/** A decimal numeral such as `12`, `.5`, `-3.25` with a power of ten. */
export const decimal = (whole: string, fraction: string, exponent: number): Rational | undefined => {
  if (whole.length + fraction.length > 2_000 || Math.abs(exponent) > 900) return undefined
  const n = BigInt(`${whole}${fraction}` || '0')
  const power = exponent - fraction.length
  return power >= 0 ? rational(n * 10n ** BigInt(power)) : rational(n, 10n ** BigInt(-power))
}

export const add = (a: Rational, b: Rational): Rational | undefined =>
  rational(a.n * b.d + b.n * a.d, a.d * b.d)
export const multiply = (a: Rational, b: Rational): Rational | undefined => rational(a.n * b.n, a.d * b.d)
export const divide = (a: Rational, b: Rational): Rational | undefined => rational(a.n * b.d, a.d * b.n)
export const negate = (a: Rational): Rational => ({ n: -a.n, d: a.d })
export const equal = (a: Rational, b: Rational): boolean => a.n === b.n && a.d === b.d
export const isWhole = (a: Rational): boolean => a.d === 1n

const bits = (x: bigint): number => abs(x).toString(16).length * 4

/** `base` to a whole power. */
export const power = (base: Rational, exponent: bigint): Rational | undefined => {
  if (base.n === 0n) return exponent > 0n ? base : exponent === 0n ? rational(1n) : undefined
  if (base.d === 1n && abs(base.n) === 1n) return rational(exponent % 2n === 0n ? 1n : base.n)
  const size = abs(exponent)
  if (size > 20_000n || BigInt(Math.max(bits(base.n), bits(base.d))) * size > BigInt(mostBits))
    return undefined
  const [n, d] = [base.n ** size, base.d ** size]
  return exponent < 0n ? rational(d, n) : rational(n, d)
}

/** The largest whole number whose square is at most `n`. */
const squareRoot = (n: bigint): bigint => {
  if (n < 2n) return n
  let x = 1n << BigInt(Math.ceil(bits(n) / 2) + 1)
  for (;;) {
    const y = (x + n / x) >> 1n
    if (y >= x) return x
    x = y
  }
}

/** The square root where it is a fraction itself. */
export const root = (a: Rational): Rational | undefined => {
  if (a.n < 0n) return undefined
  const [n, d] = [squareRoot(a.n), squareRoot(a.d)]
  return n * n === a.n && d * d === a.d ? rational(n, d) : undefined
}

/** `n!` */
export const factorial = (a: Rational): Rational | undefined => {
  if (!isWhole(a) || a.n < 0n || a.n > 1_000n) return undefined
  let product = 1n
  for (let i = 2n; i <= a.n; i++) product *= i
  return rational(product)
}

/** `n` over `k`. */
export const binomial = (a: Rational, b: Rational): Rational | undefined => {
  if (!isWhole(a) || !isWhole(b) || a.n < 0n || a.n > 10_000n || b.n < 0n) return undefined
  if (b.n > a.n) return rational(0n)
  const k = b.n < a.n - b.n ? b.n : a.n - b.n
  let value = 1n
  for (let i = 1n; i <= k; i++) {
    value = (value * (a.n - k + i)) / i
    if (value > most) return undefined
  }
  return rational(value)
}

/** As a floating-point number; a quotient of large numbers keeps its digits. */
export const toNumber = ({ n, d }: Rational): number => {
  const [a, b] = [Number(n), Number(d)]
  if (Number.isFinite(a) && Number.isFinite(b)) return a / b
  const shift = BigInt(Math.max(bits(n), bits(d)) - 900)
  return Number(n >> shift) / Number(d >> shift)
}
