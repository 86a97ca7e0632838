/**
 * Complex numbers in floating point, as far as written answers need them.
 *
 * @since 0.1.0
 */

/** `re + im·i` */
export interface Complex {
  readonly re: number
  readonly im: number
}

export const real = (re: number): Complex => ({ re, im: 0 })
export const plus = (a: Complex, b: Complex): Complex => ({ re: a.re + b.re, im: a.im + b.im })
export const times = (a: Complex, b: Complex): Complex =>
  a.im === 0 && b.im === 0
    ? real(a.re * b.re)
    : { re: a.re * b.re - a.im * b.im, im: a.re * b.im + a.im * b.re }
export const minus = (a: Complex): Complex => ({ re: -a.re, im: a.im === 0 ? 0 : -a.im })
export const size = (a: Complex): number => Math.hypot(a.re, a.im)

export const over = (a: Complex, b: Complex): Complex => {
  if (b.im === 0) return { re: a.re / b.re, im: a.im === 0 ? 0 : a.im / b.re }
  const d = b.re * b.re + b.im * b.im
  return { re: (a.re * b.re + a.im * b.im) / d, im: (a.im * b.re - a.re * b.im) / d }
}

export const exponential = (a: Complex): Complex =>
  a.im === 0
    ? real(Math.exp(a.re))
    : { re: Math.exp(a.re) * Math.cos(a.im), im: Math.exp(a.re) * Math.sin(a.im) }

/** The principal logarithm. */
export const logarithm = (a: Complex): Complex =>
  a.im === 0 && a.re > 0 ? real(Math.log(a.re)) : { re: Math.log(size(a)), im: Math.atan2(a.im, a.re) }

/** The principal value of a power. */
export const raised = (a: Complex, b: Complex): Complex => {
  if (a.im === 0 && b.im === 0 && (a.re >= 0 || Number.isInteger(b.re))) return real(a.re ** b.re)
  if (size(a) === 0) return b.re > 0 ? real(0) : real(Number.NaN)
  return exponential(times(b, logarithm(a)))
}

const i: Complex = { re: 0, im: 1 }

export const sine = (a: Complex): Complex =>
  a.im === 0
    ? real(Math.sin(a.re))
    : { re: Math.sin(a.re) * Math.cosh(a.im), im: Math.cos(a.re) * Math.sinh(a.im) }
export const cosine = (a: Complex): Complex =>
  a.im === 0
    ? real(Math.cos(a.re))
    : { re: Math.cos(a.re) * Math.cosh(a.im), im: -Math.sin(a.re) * Math.sinh(a.im) }

export const arcTangent = (a: Complex): Complex => {
  if (a.im === 0) return real(Math.atan(a.re))
  const rotated = times(i, a)
  const difference = plus(logarithm(plus(real(1), rotated)), minus(logarithm(plus(real(1), minus(rotated)))))
  return times({ re: 0, im: -0.5 }, difference)
}
export const arcSine = (a: Complex): Complex => {
  if (a.im === 0 && Math.abs(a.re) <= 1) return real(Math.asin(a.re))
  const root = raised(plus(real(1), minus(times(a, a))), real(0.5))
  return times({ re: 0, im: -1 }, logarithm(plus(times(i, a), root)))
}
