/** Long sums in two stages: added one after the other in float32 they lose digits in proportion to their length. */
import { type Axis, axis, elements } from '../axis.ts'
import { contractOf } from '../contract.ts'
import { findAxis, node, rewrite, type Tensor } from '../graph.ts'
import { overBodies } from '../loop.ts'
import { reduceOf } from '../reduce.ts'
import { reshaped, transposed } from '../shape.ts'

/** Numbers of one size that are added one after the other in float32 to within about 1e-7 of their sum. */
const longest = 8192

/** The divisor of n that is nearest to its root, from below. */
const middleDivisor = (n: number): number => {
  let d = Math.floor(Math.sqrt(n))
  while (n % d !== 0) d--
  return d
}

/** How n numbers lie in rows; where n has no divisor near its root there is room for more. */
const cut = (n: number): readonly [rows: number, columns: number] => {
  const side = Math.floor(Math.sqrt(n))
  const divisor = middleDivisor(n)
  const rows = divisor * 16 >= side ? divisor : side
  return [rows, Math.ceil(n / rows)]
}

const names = { head: 'sum head', run: 'sum run', row: 'sum row', column: 'sum column', tail: 'sum tail' }

const some = (name: string, size: number): Axis[] => (size === 1 ? [] : [axis(name, size)])

/** The axes from place `from` to `to` as two, of rows and of columns, filled up with zeros. */
const inRows = (x: Tensor, from: number, to: number): readonly [head: Axis[], tail: Axis[], x: Tensor] => {
  const n = elements(x.axes.slice(from, to))
  const head = some(names.head, elements(x.axes.slice(0, from)))
  const tail = some(names.tail, elements(x.axes.slice(to)))
  const [rows, columns] = cut(n)
  const flat = reshaped(x, [...head, axis(names.run, n), ...tail], x.site)
  const room = rows * columns - n
  const full = axis(names.run, rows * columns)
  const filled =
    room === 0
      ? flat
      : node(
          { op: 'pad', along: full.name, before: 0, after: room },
          [flat],
          [...head, full, ...tail],
          x.dtype,
          x.site,
        )
  const two = [axis(names.row, rows), axis(names.column, columns)]
  return [head, tail, reshaped(filled, [...head, ...two, ...tail], x.site)]
}

const sum = (x: Tensor, over: readonly string[]): Tensor => reduceOf('sum', x, over, x.site)

/** The summed axes from the last on that lie side by side. */
const lastRun = (axes: readonly Axis[], over: readonly string[]): readonly [from: number, to: number] => {
  const to = axes.findLastIndex((a) => over.includes(a.name)) + 1
  let from = to
  while (from > 0 && over.includes(axes[from - 1]!.name)) from--
  return [from, to]
}

/** Axes that lie apart are summed one run after the other, a long run in two stages. */
const longReduction = (t: Tensor, over: readonly string[]): Tensor => {
  let x = t.inputs[0]!
  if (elements(x.axes.filter((a) => over.includes(a.name))) <= longest) return t
  for (;;) {
    const [from, to] = lastRun(x.axes, over)
    if (to === 0) return { ...x, marks: t.marks }
    const rest = [...x.axes.slice(0, from), ...x.axes.slice(to)]
    if (elements(x.axes.slice(from, to)) <= longest)
      x = sum(
        x,
        x.axes.slice(from, to).map((a) => a.name),
      )
    else x = reshaped(sum(sum(inRows(x, from, to)[2], [names.column]), [names.row]), rest, x.site)
  }
}

/**
 * A long product of vectors, or of a vector and a matrix: the sum in rows, each a product of its own, and their sum. A
 * product of matrices is computed block by block anyway.
 */
const longProduct = (t: Tensor, over: readonly string[]): Tensor => {
  const [a, b] = t.inputs as readonly [Tensor, Tensor]
  const summed = a.axes.filter((x) => over.includes(x.name))
  if (elements(summed) <= longest) return t
  const has = (x: Tensor, n: string): boolean => x.names.includes(n)
  const own = (x: Tensor, other: Tensor): Axis[] => x.axes.filter((n) => !has(other, n.name))
  if (elements(own(a, b)) > 1 && elements(own(b, a)) > 1) return t
  const batch = a.axes.filter((x) => has(b, x.name) && !over.includes(x.name))
  const side = (x: Tensor, other: Tensor): Tensor => {
    // the summed axes stay before or behind the others, as they lie
    const mine = own(x, other)
    const last = x.axes.at(-1)
    const [lead, tail] = last !== undefined && has(t, last.name) ? [batch, mine] : [[...batch, ...mine], []]
    const order = [...lead, ...summed, ...tail].map((n) => n.name)
    const [, , y] = inRows(transposed(x, order, x.site), lead.length, order.length - tail.length)
    const from = y.axes.findIndex((n) => n.name === names.row)
    return reshaped(y, [...lead, ...y.axes.slice(from, from + 2), ...tail], y.site)
  }
  const [x, y] = [side(a, b), side(b, a)]
  const row = findAxis(x, names.row)!
  const rest = t.axes.filter((n) => !batch.some((m) => m.name === n.name))
  const order = [...batch, row, ...rest].map((n) => n.name)
  const products = contractOf(x, y, [names.column], t.site, order)
  return { ...transposed(sum(products, [names.row]), t.names, t.site), marks: t.marks }
}

/**
 * Sums of more than 8,192 numbers in two stages of about √n each, so that they are right to about 1e-6 however an engine
 * adds: over one long row a runtime's sum is off by 1e-5 at a million elements, a product of long vectors by 1e-3 at four
 * million.
 *
 * @param keep sums that an engine computes well by an operation of its own
 * @category passes
 */
export const longSums =
  (keep: (t: Tensor) => boolean = () => false) =>
  (roots: readonly Tensor[]): Tensor[] => [
    ...overBodies(
      rewrite(roots, (t) => {
        if (t.dtype !== 'float32' || keep(t)) return t
        if (t.op.op === 'reduce' && t.op.fn === 'sum') return longReduction(t, t.op.over)
        return t.op.op === 'contract' ? longProduct(t, t.op.over) : t
      }),
      longSums(keep),
    ),
  ]
