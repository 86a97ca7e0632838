/**
 * Whether two expressions are worth the same: exactly where both are fractions, else by their values at some points.
 *
 * @since 0.1.0
 */
import * as C from './complex.ts'
import { evaluate, exactly } from './evaluate.ts'
import { has, type Node, symbolsOf } from './expression.ts'
import { equal, isWhole, toNumber } from './rational.ts'
import { differByNumber, residue } from './residue.ts'

/** Points at which expressions in symbols are compared. */
const points = 8

/** A number for a symbol at a point: neither round nor near another, of both signs. */
const valueAt = (name: string, point: number): number => {
  let hash = 2166136261
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 16777619) >>> 0
  const fraction = ((hash % 99_991) * 0.618033988749895 + point * 0.7548776662466927) % 1
  const size = 0.3 + 2.4 * fraction
  return (hash + point) % 3 === 0 ? -size : size
}

/** Numbers for these symbols at a point. */
export const pointAt = (symbols: Iterable<string>, point: number, times = 1): ReadonlyMap<string, number> =>
  new Map([...symbols].map((name) => [name, times * valueAt(name, point)]))

/** Functions that may be one with another near 0 and not far from it: `|x - 5|` and `5 - x`. */
const bending: ReadonlySet<string> = new Set(['abs', 'floor', 'ceil', 'min', 'max', 'sqrt', 'root'])
const far = 13

const finite = (x: C.Complex): boolean => Number.isFinite(x.re) && Number.isFinite(x.im)

/** How far a rounded numeral may be from what it stands for: half a step of its last digit. */
const halfStep = (size: number, decimals: number): number => {
  const magnitude = size > 0 ? Math.floor(Math.log10(size)) : 0
  return 0.5 * 10 ** (-decimals + (magnitude < 0 ? magnitude + 1 : magnitude))
}

/** Whether two values are one but for rounding. */
const near = (a: C.Complex, b: C.Complex, relative: number, absolute: number): boolean =>
  C.size(C.plus(a, C.minus(b))) <= Math.max(relative * Math.max(C.size(a), C.size(b)), absolute)

const terminates = (d: bigint): boolean => {
  let rest = d
  for (const prime of [2n, 5n]) while (rest % prime === 0n) rest /= prime
  return rest === 1n
}

/** A decimal that may be the rounding of something else: it has a point, and is not the other side's own decimal. */
const isRounded = (node: Node): boolean => has(node, (n) => n.t === 'number' && n.decimal)

/** Whether something in it may have no end in decimals: only that is what a decimal is a rounding of. */
const isEndless = (node: Node): boolean =>
  has(node, (n) => {
    if (n.t === 'number') return !terminates(n.value.d)
    if (n.t !== 'quotient' && n.t !== 'power')
      return n.t === 'call' || n.t === 'constant' || n.t === 'degrees'
    const second = exactly(n.b)
    if (second === undefined) return true
    if (n.t === 'power') return !isWhole(second) || second.n < 0n
    return !terminates(second.n < 0n ? -second.n : second.n)
  })

/** Infinity with its sign, undefined where the node is none. */
const infinityOf = (node: Node): number | undefined => {
  if (node.t === 'constant') return node.name === 'infinity' ? 1 : undefined
  if (node.t === 'negative') {
    const of = infinityOf(node.of)
    return of === undefined ? undefined : -of
  }
  return node.t === 'sum' && node.of.length === 1 ? infinityOf(node.of[0]!) : undefined
}

/**
 * Whether both are worth the same. A decimal numeral counts as equal to a number that has no end in decimals (1/3, √2)
 * where it is that number to `decimals` digits, counted from the one behind its first, below 1 from the first that is not 0;
 * undefined where a value cannot be had.
 */
export const sameNumber = (a: Node, b: Node, decimals: number): boolean | undefined => {
  const [infinite, other] = [infinityOf(a), infinityOf(b)]
  if (infinite !== undefined || other !== undefined) return infinite === other
  const [x, y] = [exactly(a), exactly(b)]
  if (x !== undefined && y !== undefined) {
    if (equal(x, y)) return true
    if (isWhole(x) && isWhole(y)) return false
    const oneRounds = (isRounded(a) && !terminates(y.d)) || (isRounded(b) && !terminates(x.d))
    const [p, q] = [toNumber(x), toNumber(y)]
    return oneRounds && Math.abs(p - q) <= halfStep(Math.abs(q), decimals)
  }
  const symbols = new Set([...symbolsOf(a), ...symbolsOf(b)])
  const rounds =
    isRounded(a) !== isRounded(b) && ((isRounded(a) && isEndless(b)) || (isRounded(b) && isEndless(a)))
  const [p, q] = symbols.size === 0 ? [] : [residue(a, 0), residue(b, 0)]
  const exact = p !== undefined && q !== undefined
  if (exact && p !== q && !rounds) return false
  if (!exact && !rounds && differByNumber(a, b)) return false
  const relative = symbols.size === 0 ? 1e-12 : exact ? 1e-8 : 1e-11
  const absolute = symbols.size === 0 ? 1e-14 : exact ? 1e-8 : 1e-10
  const bends = [a, b].some((n) => has(n, (m) => m.t === 'call' && bending.has(m.fn)))
  let compared = 0
  for (let point = 0; point < (symbols.size === 0 ? 1 : points); point++) {
    const at = pointAt(symbols, point, bends && point % 2 === 1 ? far : 1)
    const [va, vb] = [evaluate(a, at), evaluate(b, at)]
    if (!finite(va) && !finite(vb)) continue
    if (
      !finite(va) ||
      !finite(vb) ||
      !near(va, vb, relative, rounds ? halfStep(C.size(va), decimals) : absolute)
    )
      return false
    compared++
  }
  return compared > 0 ? true : exact && p === q ? true : undefined
}
