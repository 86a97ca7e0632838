/**
 * What an expression is worth: exactly where it is a fraction, else in floating point with numbers for its symbols.
 *
 * @since 0.1.0
 */
import * as C from './complex.ts'
import type { Fn, Node } from './expression.ts'
import * as Q from './rational.ts'

type Exact = Q.Rational | undefined

const fold = (values: readonly Exact[], by: (a: Q.Rational, b: Q.Rational) => Exact): Exact =>
  values.reduce<Exact>(
    (a, b, i) => (i === 0 ? b : a === undefined || b === undefined ? undefined : by(a, b)),
    undefined,
  )

const powerOf = (a: Exact, b: Exact): Exact => {
  if (a === undefined || b === undefined) return undefined
  if (Q.isWhole(b)) return Q.power(a, b.n)
  if (b.d !== 2n) return undefined
  const root = Q.root(a)
  return root === undefined ? undefined : Q.power(root, b.n)
}

const wholeOf = (a: Q.Rational, up: boolean): Exact => {
  const below = a.n >= 0n ? a.n / a.d : -((-a.n + a.d - 1n) / a.d)
  return Q.rational(up && below * a.d !== a.n ? below + 1n : below)
}

const exactCall = (fn: Fn, of: readonly Exact[]): Exact => {
  const [a, b] = of
  if (a === undefined) return undefined
  switch (fn) {
    case 'sqrt':
      return Q.root(a)
    case 'abs':
      return a.n < 0n ? Q.negate(a) : a
    case 'factorial':
      return Q.factorial(a)
    case 'binomial':
      return b === undefined ? undefined : Q.binomial(a, b)
    case 'floor':
    case 'ceil':
      return wholeOf(a, fn === 'ceil')
    case 'min':
    case 'max':
      return fold(of, (x, y) => (x.n * y.d < y.n * x.d === (fn === 'min') ? x : y))
    default:
      return undefined
  }
}

/** The value as a fraction, where it is one that the rules of fractions, roots and factorials give. */
export const exactly = (node: Node): Q.Rational | undefined => {
  switch (node.t) {
    case 'number':
      return node.value
    case 'sum':
      return fold(node.of.map(exactly), Q.add)
    case 'product':
      return fold(node.of.map(exactly), Q.multiply)
    case 'negative': {
      const of = exactly(node.of)
      return of === undefined ? undefined : Q.negate(of)
    }
    case 'percent': {
      const of = exactly(node.of)
      return of === undefined ? undefined : Q.divide(of, { n: 100n, d: 1n })
    }
    case 'quotient': {
      const [a, b] = [exactly(node.a), exactly(node.b)]
      return a === undefined || b === undefined ? undefined : Q.divide(a, b)
    }
    case 'power':
      return powerOf(exactly(node.a), exactly(node.b))
    case 'call':
      return exactCall(node.fn, node.of.map(exactly))
    default:
      return undefined
  }
}

const none: C.Complex = { re: Number.NaN, im: Number.NaN }
const one = C.real(1)

const onReal = (by: (x: number) => number) => (a: C.Complex) => (a.im === 0 ? C.real(by(a.re)) : none)
const lanczos = [
  ...[0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313],
  ...[-176.61502916214059, 12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6],
  1.5056327351493116e-7,
]
/** `x!`, between whole numbers by the gamma function (Lanczos, to 14 digits): so that formulas in `n` can be compared. */
const factorial = (x: number): number => {
  if (Number.isInteger(x)) {
    if (x < 0 || x > 170) return Number.NaN
    let product = 1
    for (let i = 2; i <= x; i++) product *= i
    return product
  }
  if (x < -0.5) return (-Math.PI * x) / (Math.sin(-Math.PI * x) * factorial(-x))
  const t = x + 7.5
  const series = lanczos.reduce((sum, c, i) => (i === 0 ? c : sum + c / (x + i)), 0)
  return Math.sqrt(2 * Math.PI) * t ** (x + 0.5) * Math.exp(-t) * series
}
const hyperbolic = (a: C.Complex, sign: 1 | -1): C.Complex => {
  const [up, down] = [C.exponential(a), C.exponential(C.minus(a))]
  return C.over(C.plus(up, sign === 1 ? down : C.minus(down)), C.real(2))
}

const unary: Partial<Record<Fn, (a: C.Complex) => C.Complex>> = {
  sin: C.sine,
  cos: C.cosine,
  tan: (a) => C.over(C.sine(a), C.cosine(a)),
  cot: (a) => C.over(C.cosine(a), C.sine(a)),
  sec: (a) => C.over(one, C.cosine(a)),
  csc: (a) => C.over(one, C.sine(a)),
  arcsin: C.arcSine,
  arccos: (a) => C.plus(C.real(Math.PI / 2), C.minus(C.arcSine(a))),
  arctan: C.arcTangent,
  sinh: (a) => hyperbolic(a, -1),
  cosh: (a) => hyperbolic(a, 1),
  tanh: (a) => C.over(hyperbolic(a, -1), hyperbolic(a, 1)),
  ln: C.logarithm,
  exp: C.exponential,
  sqrt: (a) => C.raised(a, C.real(0.5)),
  abs: (a) => C.real(C.size(a)),
  floor: onReal(Math.floor),
  ceil: onReal(Math.ceil),
  factorial: onReal(factorial),
}

const calledWith = (fn: Fn, of: readonly C.Complex[]): C.Complex => {
  const [a, b] = of
  if (a === undefined) return none
  const simple = unary[fn]
  if (simple !== undefined) return of.length === 1 ? simple(a) : none
  switch (fn) {
    case 'log':
      return C.over(C.logarithm(a), b === undefined ? C.real(Math.LN10) : C.logarithm(b))
    case 'root':
      return b === undefined ? none : rootOf(a, b)
    case 'min':
    case 'max':
      return of.every((x) => x.im === 0) ? C.real(Math[fn](...of.map((x) => x.re))) : none
    case 'binomial':
      return b !== undefined && a.im === 0 && b.im === 0
        ? C.real(factorial(a.re) / (factorial(b.re) * factorial(a.re - b.re)))
        : none
    default:
      return none
  }
}

/** An odd root of a negative number is the real one, as it is written. */
const rootOf = (a: C.Complex, degree: C.Complex): C.Complex =>
  a.im === 0 && a.re < 0 && degree.im === 0 && Math.abs(degree.re % 2) === 1
    ? C.real(-((-a.re) ** (1 / degree.re)))
    : C.raised(a, C.over(one, degree))

/** The value with these numbers for the symbols; not finite where it has none. */
export const evaluate = (node: Node, symbols: ReadonlyMap<string, number>): C.Complex => {
  const at = (n: Node): C.Complex => evaluate(n, symbols)
  switch (node.t) {
    case 'number':
      return C.real(Q.toNumber(node.value))
    case 'symbol':
      return C.real(symbols.get(node.name) ?? Number.NaN)
    case 'constant':
      return node.name === 'i'
        ? { re: 0, im: 1 }
        : C.real(node.name === 'pi' ? Math.PI : node.name === 'e' ? Math.E : Number.POSITIVE_INFINITY)
    case 'sum':
      return node.of.map(at).reduce(C.plus, C.real(0))
    case 'product':
      return node.of.map(at).reduce(C.times, one)
    case 'negative':
      return C.minus(at(node.of))
    case 'percent':
      return C.over(at(node.of), C.real(100))
    case 'degrees':
      return C.times(at(node.of), C.real(Math.PI / 180))
    case 'quotient':
      return C.over(at(node.a), at(node.b))
    case 'power':
      return C.raised(at(node.a), at(node.b))
    case 'call':
      return calledWith(node.fn, node.of.map(at))
    default:
      return none
  }
}
