/**
 * Expressions in symbols, exactly: as numbers modulo a prime, in which nothing grows and nothing is rounded. What differs there
 * differs; what is one there at a random place is one but for a chance of one in 10^18.
 *
 * @since 0.1.0
 */
import { exactly } from './evaluate.ts'
import { childrenOf, type Node } from './expression.ts'
import type { Rational } from './rational.ts'

/** A prime. */
const prime = 2n ** 61n - 1n

type Residue = bigint | undefined

const within = (x: bigint): bigint => {
  const rest = x % prime
  return rest < 0n ? rest + prime : rest
}

const times = (a: bigint, b: bigint): bigint => (a * b) % prime

const power = (base: bigint, exponent: bigint): Residue => {
  if (base === 0n) return exponent > 0n ? 0n : exponent === 0n ? 1n : undefined
  // base^(prime − 1) is 1
  const by = prime - 1n
  let left = ((exponent % by) + by) % by
  let value = 1n
  for (let square = base; left > 0n; square = times(square, square), left >>= 1n)
    if ((left & 1n) === 1n) value = times(value, square)
  return value
}

/** `a / b`; undefined where `b` is 0. */
export const over = (a: bigint, b: bigint): Residue => {
  const inverse = power(b, -1n)
  return inverse === undefined ? undefined : times(a, inverse)
}

const ofFraction = ({ n, d }: Rational): Residue => over(within(n), within(d))

/** What a symbol is at a place. */
const symbolAt = (name: string, place: number): bigint => {
  let value = BigInt(place + 1)
  for (let i = 0; i < name.length; i++)
    value = within((value + BigInt(name.charCodeAt(i))) * 6_364_136_223_846_793_005n)
  return within(value * value + 1_442_695_040_888_963_407n)
}

const all = (of: readonly Node[], place: number, opaque: boolean): readonly bigint[] | undefined => {
  const values: bigint[] = []
  for (const node of of) {
    const value = residue(node, place, opaque)
    if (value === undefined) return undefined
    values.push(value)
  }
  return values
}

/** What is more than sums, products, quotients and whole powers as a symbol: the same one for the same parts. */
const symbolFor = (node: Node, place: number): Residue => {
  if (node.t === 'constant') return symbolAt(`\\${node.name}`, place)
  const parts = all(childrenOf(node), 0, true)
  return parts === undefined || parts.length === 0
    ? undefined
    : symbolAt(`\\${node.t === 'call' ? node.fn : node.t}(${parts})`, place)
}

/**
 * The value at a place; undefined where it has none. Where more than sums, products, quotients and whole powers make it, it
 * has one only with `opaque`: each root, function and constant is a symbol then.
 */
export const residue = (node: Node, place: number, opaque = false): Residue => {
  switch (node.t) {
    case 'number':
      return ofFraction(node.value)
    case 'symbol':
      return symbolAt(node.name, place)
    case 'sum':
      return all(node.of, place, opaque)?.reduce((a, b) => (a + b) % prime, 0n)
    case 'product':
      return all(node.of, place, opaque)?.reduce(times, 1n)
    case 'negative':
    case 'percent': {
      const of = residue(node.of, place, opaque)
      return of === undefined ? undefined : node.t === 'negative' ? within(-of) : over(of, 100n)
    }
    case 'quotient': {
      const values = all([node.a, node.b], place, opaque)
      return values === undefined ? undefined : over(values[0]!, values[1]!)
    }
    case 'power': {
      const exponent = exactly(node.b)
      if (exponent?.d === 1n) {
        const base = residue(node.a, place, opaque)
        return base === undefined ? undefined : power(base, exponent.n)
      }
      break
    }
    default:
  }
  // a root or a factorial that is a fraction
  const value = exactly(node)
  if (value !== undefined) return ofFraction(value)
  return opaque ? symbolFor(node, place) : undefined
}

/**
 * Whether two expressions differ by a number that is not 0, whatever their symbols, roots, functions and constants are worth:
 * then they differ, even where it is too small beside them for floating point.
 */
export const differByNumber = (a: Node, b: Node): boolean => {
  const apart = [0, 1].map((place) => {
    const [p, q] = [residue(a, place, true), residue(b, place, true)]
    return p === undefined || q === undefined ? undefined : within(p - q)
  })
  return apart[0] !== undefined && apart[0] !== 0n && apart[0] === apart[1]
}
