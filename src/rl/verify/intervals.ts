/**
 * Sets of real numbers as intervals: what unions, inequalities and sets of numbers say.
 *
 * @since 0.1.0
 */
import { evaluate } from './evaluate.ts'
import { isScalar, type Node, symbolsOf } from './expression.ts'

/** From `low` to `high`, with or without its ends. */
export interface Interval {
  readonly low: number
  readonly high: number
  readonly withLow: boolean
  readonly withHigh: boolean
}

const all: Interval = { low: -Infinity, high: Infinity, withLow: false, withHigh: false }

const numberOf = (node: Node): number | undefined => {
  if (!isScalar(node) || symbolsOf(node).size > 0) return undefined
  const { re, im } = evaluate(node, new Map())
  return im === 0 && !Number.isNaN(re) ? re : undefined
}

const isEmpty = (i: Interval): boolean => i.low > i.high || (i.low === i.high && !(i.withLow && i.withHigh))

/** In order, and joined where they touch. */
const merged = (intervals: readonly Interval[]): readonly Interval[] => {
  const sorted = intervals
    .filter((i) => !isEmpty(i))
    .sort((a, b) => a.low - b.low || Number(b.withLow) - Number(a.withLow))
  const out: Interval[] = []
  for (const next of sorted) {
    const last = out.at(-1)
    if (
      last !== undefined &&
      (next.low < last.high || (next.low === last.high && (next.withLow || last.withHigh)))
    ) {
      const further = next.high > last.high || (next.high === last.high && next.withHigh)
      if (further) out[out.length - 1] = { ...last, high: next.high, withHigh: next.withHigh }
    } else out.push(next)
  }
  return out
}

/** What they have in common. Joined at once, since what is met would grow as a product. */
const common = (parts: readonly (readonly Interval[])[]): readonly Interval[] =>
  parts.reduce((a, b) => merged(a.flatMap((x) => b.map((y) => meet(x, y)))))

const meet = (a: Interval, b: Interval): Interval => {
  const low = Math.max(a.low, b.low)
  const high = Math.min(a.high, b.high)
  return {
    ...{ low, high },
    withLow: (a.low < low || a.withLow) && (b.low < low || b.withLow),
    withHigh: (a.high > high || a.withHigh) && (b.high > high || b.withHigh),
  }
}

/** A side that has one symbol and is a line in it. */
const lineOf = (node: Node): { readonly at0: number; readonly slope: number } | undefined => {
  const [name, ...others] = symbolsOf(node)
  if (name === undefined || others.length > 0 || !isScalar(node)) return undefined
  if (node.t === 'symbol') return { at0: 0, slope: 1 }
  const [at0, at1, ...further] = [0, 1, -3, 2.5, 40].map((x) => evaluate(node, new Map([[name, x]])))
  const slope = at1!.re - at0!.re
  const isLine = [-3, 2.5, 40].every((x, i) => {
    const { re, im } = further[i]!
    return im === 0 && Math.abs(re - at0!.re - x * slope) <= 1e-9 * Math.max(1, Math.abs(re))
  })
  return isLine && slope !== 0 ? { at0: at0!.re, slope } : undefined
}

/** What an inequality says of its one symbol. */
const bounded = (node: Extract<Node, { t: 'relation' }>): readonly Interval[] | undefined => {
  const isSymbol = (n: Node | undefined): boolean => n !== undefined && symbolsOf(n).size > 0
  if (node.by.length === 1 && node.by[0] === 'in')
    return node.of[0]!.t === 'symbol' ? intervalsOf(node.of[1]!) : undefined
  const at = node.of.findIndex(isSymbol)
  if (at < 0 || node.of.filter(isSymbol).length > 1 || node.of.length > 3) return undefined
  const line = lineOf(node.of[at]!)
  if (line === undefined) return undefined
  let within: readonly Interval[] = [all]
  for (const [i, by] of node.by.entries()) {
    const side = numberOf(node.of[i < at ? i : i + 1]!)
    if (side === undefined || (i !== at && i + 1 !== at)) return undefined
    // turned so that the symbol stands on the left
    const value = (side - line.at0) / line.slope
    const turned =
      i < at !== line.slope < 0
        ? ({ '<': '>', '>': '<', '<=': '>=', '>=': '<=', '=': '=', '!=': '!=' } as const)[by as '<']
        : by
    const parts: readonly Interval[] =
      turned === '<' || turned === '<='
        ? [{ ...all, high: value, withHigh: turned === '<=' }]
        : turned === '>' || turned === '>='
          ? [{ ...all, low: value, withLow: turned === '>=' }]
          : turned === '!='
            ? [
                { ...all, high: value },
                { ...all, low: value },
              ]
            : []
    if (parts.length === 0) return undefined
    within = merged(within.flatMap((a) => parts.map((b) => meet(a, b))))
  }
  return merged(within)
}

/** The numbers that a set, an interval, a union or an inequality has; undefined where it is none of numbers. */
export const intervalsOf = (node: Node): readonly Interval[] | undefined => {
  switch (node.t) {
    case 'numbers':
      return node.name === 'R' ? [all] : undefined
    case 'tuple': {
      const [low, high] = [node.of[0], node.of[1]].map((n) => (n === undefined ? undefined : numberOf(n)))
      if (node.of.length !== 2 || low === undefined || high === undefined || low > high) return undefined
      return merged([{ low, high, withLow: node.open === '[', withHigh: node.close === ']' }])
    }
    case 'set': {
      const values = node.of.map(numberOf)
      if (values.some((v) => v === undefined)) return undefined
      return merged(values.map((v) => ({ low: v!, high: v!, withLow: true, withHigh: true })))
    }
    case 'list':
    case 'union': {
      // of inequalities, a list says "or"
      if (node.t === 'list' && !node.of.every((n) => n.t === 'relation')) return undefined
      const parts = node.of.map(intervalsOf)
      if (!parts.every((p) => p !== undefined)) return undefined
      const joined = merged(parts.flat())
      // what leaves no number out says nothing: all of them hold, as of x > 1 and x < 6
      return node.t === 'list' && sameIntervals(joined, [all]) ? common(parts) : joined
    }
    case 'intersection': {
      const parts = node.of.map(intervalsOf)
      return parts.every((p) => p !== undefined) ? common(parts) : undefined
    }
    case 'complement':
      return intervalsOf(node.of)?.reduce<readonly Interval[]>(
        (left, { low, high, withLow, withHigh }) => {
          const around = [
            { ...all, high: low, withHigh: !withLow },
            { ...all, low: high, withLow: !withHigh },
          ]
          return common([left, around])
        },
        [all],
      )
    case 'relation':
      return bounded(node)
    default:
      return undefined
  }
}

const close = (a: number, b: number): boolean =>
  a === b ||
  (Number.isFinite(a) && Number.isFinite(b) && Math.abs(a - b) <= 1e-9 * Math.max(Math.abs(a), Math.abs(b)))

/** Whether two sets of intervals are one. */
export const sameIntervals = (a: readonly Interval[], b: readonly Interval[]): boolean =>
  a.length === b.length &&
  a.every((x, i) => {
    const y = b[i]!
    return (
      close(x.low, y.low) && close(x.high, y.high) && x.withLow === y.withLow && x.withHigh === y.withHigh
    )
  })
