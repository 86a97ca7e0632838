/**
 * Whether two trees give the same answer.
 *
 * @since 0.1.0
 */
import * as C from './complex.ts'
import { evaluate, exactly } from './evaluate.ts'
import { childrenOf, has, isScalar, type Node, type Relation, symbolsOf } from './expression.ts'
import { intervalsOf, sameIntervals } from './intervals.ts'
import { over, residue } from './residue.ts'
import { pointAt, sameNumber } from './same-number.ts'

type RelationNode = Extract<Node, { t: 'relation' }>

/** Entries that two unordered collections may have: they are compared pair by pair. */
const mostEntries = 64

/** `a ± b` as two answers. */
const withSign = (node: Node, sign: '+' | '-'): Node => {
  const at = (n: Node) => withSign(n, sign)
  switch (node.t) {
    case 'plusMinus': {
      const b: Node = sign === '+' ? at(node.b) : { t: 'negative', of: at(node.b) }
      return node.a === undefined ? b : { t: 'sum', of: [at(node.a), b] }
    }
    case 'sum':
    case 'product':
    case 'list':
    case 'set':
    case 'call':
      return { ...node, of: node.of.map(at) } as Node
    case 'tuple':
    case 'relation':
      return { ...node, of: node.of.map(at) }
    case 'negative':
    case 'percent':
    case 'degrees':
      return { ...node, of: at(node.of) }
    case 'quotient':
    case 'power':
      return { ...node, a: at(node.a), b: at(node.b) }
    default:
      return node
  }
}

const hasSigns = (node: Node): boolean => has(node, (n) => n.t === 'plusMinus')

/** The answers in a tree, where it gives several: entries of a list or a set, both signs of `±`. */
const entriesOf = (node: Node): readonly Node[] | undefined => {
  if (node.t === 'list' || node.t === 'set')
    return node.of.flatMap((n) => (hasSigns(n) ? (entriesOf(n) ?? [n]) : [n]))
  if (hasSigns(node) && node.t !== 'tuple' && node.t !== 'union')
    return [withSign(node, '+'), withSign(node, '-')]
  return undefined
}

/** What an equation gives: its last side, or the side without symbols. What gives nothing else is itself. */
const answerOf = (node: Node): Node => {
  if (node.t === 'list') {
    const of = node.of.map(answerOf)
    return of.every((n, i) => n === node.of[i]) ? node : { t: 'list', of }
  }
  if (node.t !== 'relation') return node
  if (node.by.length === 1 && node.by[0] === 'in') return node.of[1]!
  if (!node.by.every((by) => by === '=')) return node
  const known = node.of.filter((n) => symbolsOf(n).size === 0)
  const last = node.of.at(-1)!
  return symbolsOf(last).size > 0 && known.length === 1 ? known[0]! : last
}

const flipped: Readonly<Record<Relation, Relation>> = {
  ...{ '=': '=', '!=': '!=', '<': '>', '>': '<', '<=': '>=', '>=': '<=', in: 'in' },
}

/** An inequality with the smaller side first. */
const directed = (node: RelationNode): RelationNode =>
  node.by.every((by) => by === '>' || by === '>=')
    ? { ...node, by: node.by.map((by) => flipped[by]).reverse(), of: [...node.of].reverse() }
    : node

/** The symbol that an equation has alone on a side, and what it is worth; undefined where the other side has it too. */
const solved = ({ of: [left, right] }: RelationNode): readonly [name: string, value: Node] | undefined => {
  const of = (symbol: Node, value: Node) =>
    symbol.t === 'symbol' && !symbolsOf(value).has(symbol.name) ? ([symbol.name, value] as const) : undefined
  return of(left!, right!) ?? of(right!, left!)
}

/** Equations of several symbols, each by its own: `x=1, y=2`, or `(x,y)=(1,2)`. */
const assignments = (node: Node): readonly RelationNode[] | undefined => {
  if (node.t === 'relation') {
    const [left, right] = node.of
    if (node.by.length !== 1 || node.by[0] !== '=' || left?.t !== 'tuple' || right?.t !== 'tuple')
      return undefined
    if (left.of.length !== right.of.length) return undefined
    const of = left.of.map((name, i): Node => ({ t: 'relation', by: ['='], of: [name, right.of[i]!] }))
    return assignments({ t: 'list', of })
  }
  if (node.t !== 'list' && node.t !== 'set') return undefined
  const of = node.of.filter(
    (n): n is RelationNode => n.t === 'relation' && n.by.length === 1 && n.by[0] === '=',
  )
  const names = new Set(of.map((n) => solved(n)?.[0]))
  return of.length === node.of.length && !names.has(undefined) && names.size > 1 ? of : undefined
}

/** Whether `left − right` of both differ by a factor alone: they say the same. Of inequalities it is more than 0. */
const sameEquation = (a: RelationNode, b: RelationNode): boolean => {
  const symbols = new Set([...symbolsOf(a), ...symbolsOf(b)])
  if (symbols.size === 0) return false
  const difference = ({ of: [left, right] }: RelationNode): Node => ({
    t: 'sum',
    of: [left!, { t: 'negative', of: right! }],
  })
  const [l, r] = [difference(a), difference(b)]
  const ratios = [0, 1].map((place) => {
    const [p, q] = [residue(l, place), residue(r, place)]
    return p === undefined || q === undefined ? undefined : over(p, q)
  })
  const exact = ratios[0] !== undefined && ratios[1] !== undefined
  if (exact && ratios[0] !== ratios[1]) return false
  let factor: C.Complex | undefined
  let compared = 0
  for (let point = 0; point < 6; point++) {
    const at = pointAt(symbols, point)
    const [x, y] = [evaluate(l, at), evaluate(r, at)]
    if (!Number.isFinite(C.size(x)) || !Number.isFinite(C.size(y))) continue
    if (C.size(x) < 1e-9 || C.size(y) < 1e-9) {
      if (C.size(x) > 1e-9 || C.size(y) > 1e-9) return false
      continue
    }
    const ratio = C.over(x, y)
    if (a.by[0] !== '=' && !(ratio.im === 0 && ratio.re > 0)) return false
    if (
      factor !== undefined &&
      C.size(C.plus(factor, C.minus(ratio))) > (exact ? 1e-7 : 1e-10) * C.size(factor)
    )
      return false
    factor = ratio
    compared++
  }
  return compared >= 3
}

/** How the parts of two answers are compared. */
interface Comparing {
  readonly same: (x: Node, y: Node) => boolean
  readonly inOrder: (x: readonly Node[], y: readonly Node[]) => boolean
  readonly inAnyOrder: (x: readonly Node[], y: readonly Node[]) => boolean
}

const comparing = (decimals: number): Comparing => {
  const same = (x: Node, y: Node): boolean => sameTree(x, y, decimals)
  return {
    same,
    inOrder: (x, y) => x.length === y.length && x.every((n, i) => same(n, y[i]!)),
    inAnyOrder: (x, y) => {
      if (x.length !== y.length || x.length > mostEntries) return false
      const left = [...y]
      return x.every((n) => {
        const found = left.findIndex((m) => same(n, m))
        if (found < 0) return false
        left.splice(found, 1)
        return true
      })
    },
  }
}

/** Whether both are stretches of numbers, and the same; undefined where one is none. */
const asIntervals = (a: Node, b: Node): boolean | undefined => {
  const [p, q] = [intervalsOf(a), intervalsOf(b)]
  return p !== undefined && q !== undefined ? sameIntervals(p, q) : undefined
}

const sameRelation = (
  a: RelationNode,
  b: RelationNode,
  { same, inOrder, inAnyOrder }: Comparing,
): boolean => {
  const [x, y] = [directed(a), directed(b)]
  if (x.by.length === y.by.length && x.by.every((by, i) => by === y.by[i]) && inOrder(x.of, y.of)) return true
  const intervals = asIntervals(a, b)
  if (intervals !== undefined) return intervals
  if (x.by.length !== 1 || y.by.length !== 1 || x.by[0] !== y.by[0]) return false
  if (x.by[0] === '!=') return inAnyOrder(x.of, y.of)
  if (x.by[0] !== '=') return [...x.of, ...y.of].every(isScalar) && sameEquation(x, y)
  if (![...childrenOf(x), ...childrenOf(y)].every(isScalar)) return inAnyOrder(x.of, y.of)
  const [s, t] = [solved(x), solved(y)]
  return s !== undefined && t !== undefined && s[0] === t[0] ? same(s[1], t[1]) : sameEquation(x, y)
}

/** Values that have names belong to them; values without are in the order of the names. Undefined where none has one. */
const sameAssignments = (a: Node, b: Node, { inOrder, inAnyOrder }: Comparing): boolean | undefined => {
  const [m, n] = [assignments(a), assignments(b)]
  if (m !== undefined && n !== undefined) return inAnyOrder(m, n)
  const [named, plain] = m !== undefined ? [m, b] : [n, a]
  if (named === undefined) return undefined
  // x_1 and x_2 are in any order
  const numbered = named.every((n) => /^([a-z])_\d/i.test(solved(n)![0]))
  if (numbered && plain.t !== 'tuple') return undefined
  if (plain.t === 'tuple' && (plain.open !== '(' || plain.close !== ')')) return false
  return (plain.t === 'tuple' || plain.t === 'list') && inOrder(named.map(answerOf), plain.of)
}

/** A tuple has an order, and a list beside it too. */
const sameTuple = (x: Node, y: Node, { inOrder }: Comparing): boolean => {
  const entries = (n: Node): readonly Node[] | undefined =>
    n.t === 'tuple' || n.t === 'list' ? n.of : n.t === 'matrix' && isVector(n) ? n.rows.flat() : undefined
  const [p, q] = [entries(x), entries(y)]
  if (x.t === 'tuple' && y.t === 'tuple' && (x.open !== y.open || x.close !== y.close)) return false
  if (p !== undefined && q !== undefined && inOrder(p, q)) return true
  return x.t !== y.t && asIntervals(x, y) === true
}

/** Answers of which one at least has entries without an order: a list, a set, both signs of `±`. */
const sameEntries = (
  [x, p]: readonly [Node, readonly Node[] | undefined],
  [y, q]: readonly [Node, readonly Node[] | undefined],
  { same, inAnyOrder }: Comparing,
): boolean => {
  const distinct = (of: readonly Node[]): readonly Node[] =>
    of.length > mostEntries ? of : of.filter((n, i) => !of.slice(0, i).some((m) => same(n, m)))
  const [left, right] = [p ?? [x], q ?? [y]]
  // an answer that is said twice is one, but two answers are not one
  const several = x.t === 'set' || y.t === 'set' || (left.length > 1 && right.length > 1)
  return several ? inAnyOrder(distinct(left), distinct(right)) : inAnyOrder(left, right)
}

const quotient = (a: Node, b: Node): Node => ({ t: 'quotient', a, b })

/** Ratios are one where each number is to the next one as in the other; one of two numbers is their quotient, too. */
const sameRatio = (x: Node, y: Node, { same }: Comparing): boolean => {
  if (x.t !== 'ratio' || y.t !== 'ratio') {
    const [ratio, other] = x.t === 'ratio' ? [x, y] : [y as Extract<Node, { t: 'ratio' }>, x]
    return ratio.of.length === 2 && same(quotient(ratio.of[0]!, ratio.of[1]!), other)
  }
  return (
    x.of.length === y.of.length &&
    x.of.every((n, i) => i === 0 || same(quotient(x.of[i - 1]!, n), quotient(y.of[i - 1]!, y.of[i]!)))
  )
}

/** Whole numbers that leave the same rest, beside the same modulus. */
const sameResidue = (x: Node, y: Node, { same }: Comparing): boolean => {
  if (x.t !== 'modulo' || y.t !== 'modulo' || !same(x.b, y.b)) return false
  const [p, q, m] = [exactly(answerOf(x.a)), exactly(answerOf(y.a)), exactly(x.b)]
  if (p === undefined || q === undefined || m === undefined || m.n === 0n) return same(x.a, y.a)
  return p.d === 1n && q.d === 1n && m.d === 1n && (p.n - q.n) % m.n === 0n
}

const isStretch = ({ t }: Node): boolean => t === 'union' || t === 'intersection' || t === 'relation'

/** Whether two answers are one, in the order of entries or without it. */
export const sameTree = (a: Node, b: Node, decimals: number): boolean => {
  const by = comparing(decimals)
  if (a.t === 'degrees' && b.t !== 'degrees') return by.same(a.of, b)
  if (b.t === 'degrees' && a.t !== 'degrees') return by.same(a, b.of)
  const assigned = sameAssignments(a, b, by)
  if (assigned !== undefined) return assigned
  if (a.t === 'relation' && b.t === 'relation') return sameRelation(a, b, by)
  if (isStretch(a) || isStretch(b)) {
    const intervals = asIntervals(a, b)
    if (intervals !== undefined) return intervals
    if (a.t === 'union' && b.t === 'union') return by.inAnyOrder(a.of, b.of)
  }
  const [x, y] = [answerOf(a), answerOf(b)]
  if (a.t === 'relation' || b.t === 'relation') {
    if (x !== a || y !== b) return by.same(x, y)
  }
  if (x.t === 'tuple' || y.t === 'tuple') return sameTuple(x, y, by)
  if (x.t === 'ratio' || y.t === 'ratio') return sameRatio(x, y, by)
  if (x.t === 'modulo' || y.t === 'modulo') return sameResidue(x, y, by)
  if (x.t === 'matrix' || y.t === 'matrix')
    return (
      x.t === 'matrix' &&
      y.t === 'matrix' &&
      x.rows.length === y.rows.length &&
      x.rows.every((row, i) => by.inOrder(row, y.rows[i]!))
    )
  const [p, q] = [entriesOf(x), entriesOf(y)]
  if (p !== undefined || q !== undefined) return sameEntries([x, p], [y, q], by)
  if (x.t === 'numbers' || y.t === 'numbers')
    return x.t === 'numbers' && y.t === 'numbers' && x.name === y.name
  return isScalar(x) && isScalar(y) && sameNumber(x, y, decimals) === true
}

const isVector = ({ rows }: Extract<Node, { t: 'matrix' }>): boolean =>
  rows.length === 1 || rows.every((row) => row.length === 1)
