/** Several products of one tensor with different weights (q, k, v; gate, up) as one product. */
import { type Axis, axis, elements, sameAxes } from '../axis.ts'
import { node, rewrite, type Tensor, topological } from '../graph.ts'

/** Products that become one. */
interface Projections {
  /** The contractions, in topological order. */
  readonly products: readonly Tensor[]
  /** Length of the sum. */
  readonly inner: number
  /** Columns of each product's weight. */
  readonly columns: readonly number[]
}

/** A weight, perhaps in other words. */
const isWeight = (t: Tensor, isOne: (t: Tensor) => boolean): boolean =>
  isOne(t) || ((t.op.op === 'reshape' || t.op.op === 'transpose') && isWeight(t.inputs[0]!, isOne))

const has = (axes: readonly Axis[], name: string): boolean => axes.some((a) => a.name === name)

/** x, weight, and their own axes, where `t` is a product of x with a weight without batch axes. */
const projection = (
  t: Tensor,
  isOne: (t: Tensor) => boolean,
): { readonly x: number; readonly rows: readonly Axis[]; readonly columns: readonly Axis[] } | undefined => {
  if (t.op.op !== 'contract') return undefined
  const { over } = t.op
  const [first, second] = t.inputs.map((a) => isWeight(a, isOne)) as [boolean, boolean]
  if (first === second) return undefined
  const x = first ? 1 : 0
  const own = (a: Tensor): readonly Axis[] => a.axes.filter((n) => !over.includes(n.name))
  const [rows, columns] = [own(t.inputs[x]!), own(t.inputs[1 - x]!)]
  return columns.length > 0 && rows.every((a) => !has(columns, a.name)) ? { x, rows, columns } : undefined
}

const to = (op: 'reshape' | 'transpose', x: Tensor, axes: readonly Axis[]): Tensor =>
  sameAxes(x.axes, axes) ? x : node({ op }, [x], axes, x.dtype, x.site)

/** The weight as a matrix `[columns, inner]`. */
const matrix = (
  weight: Tensor,
  columns: readonly Axis[],
  sum: readonly Axis[],
  inner: Axis,
  name: string,
): Tensor =>
  to('reshape', to('transpose', weight, [...columns, ...sum]), [axis(name, elements(columns)), inner])

/**
 * Merges products of one tensor with different weights over the same axes into one product with the weights joined, each
 * result a slice of it. Joining copies the weights each time that the graph is computed: it pays where that is once for many
 * steps of a loop.
 *
 * @param isOne whether a leaf is a weight
 * @category passes
 */
export const mergeProjections =
  (isOne: (t: Tensor) => boolean) =>
  (roots: readonly Tensor[]): Tensor[] => {
    const byOperand = new Map<Tensor, Map<string, Tensor[]>>()
    for (const t of topological(roots)) {
      const p = projection(t, isOne)
      if (p === undefined || t.op.op !== 'contract') continue
      const x = t.inputs[p.x]!
      const sets = byOperand.get(x) ?? new Map<string, Tensor[]>()
      byOperand.set(x, sets)
      const key = [...t.op.over].sort().join('\u0001')
      sets.set(key, [...(sets.get(key) ?? []), t])
    }
    const setOf = new Map<Tensor, Projections>()
    for (const sets of byOperand.values())
      for (const products of sets.values()) {
        if (products.length < 2) continue
        const ps = products.map((t) => projection(t, isOne)!)
        const first = products[0]!
        const inner = elements(first.inputs[ps[0]!.x]!.axes) / elements(ps[0]!.rows)
        const set = { products, inner, columns: ps.map((p) => elements(p.columns)) }
        for (const t of products) setOf.set(t, set)
      }

    const joined = new Map<Projections, Tensor>()
    const join = (set: Projections, x: Tensor): Tensor => {
      const had = joined.get(set)
      if (had !== undefined) return had
      const first = set.products[0]!
      const p = projection(first, isOne)!
      const sum = x.axes.filter((a) => !has(p.rows, a.name))
      const fresh = (name: string): string => (has(x.axes, name) ? fresh(`${name} `) : name)
      const name = fresh('joined')
      const inner = axis(fresh('inner'), set.inner)
      const weights = set.products.map((t) => {
        const q = projection(t, isOne)!
        return matrix(t.inputs[1 - q.x]!, q.columns, sum, inner, name)
      })
      const columns = axis(
        name,
        set.columns.reduce((n, c) => n + c, 0),
      )
      const weight = node({ op: 'concat', along: name }, weights, [columns, inner], 'float32', first.site)
      const flat = to('reshape', to('transpose', x, [...p.rows, ...sum]), [...p.rows, inner])
      const product = node(
        { op: 'contract', over: [inner.name] },
        [flat, weight],
        [...p.rows, columns],
        'float32',
        first.site,
      )
      joined.set(set, product)
      return product
    }

    return rewrite(roots, (t, before) => {
      const set = setOf.get(before)
      if (set === undefined) return t
      const p = projection(before, isOne)!
      const product = join(set, t.inputs[p.x]!)
      const along = product.axes[product.axes.length - 1]!.name
      const place = set.products.indexOf(before)
      const start = set.columns.slice(0, place).reduce((n, c) => n + c, 0)
      const part = node(
        { op: 'slice', along, start },
        [product],
        [...p.rows, axis(along, set.columns[place]!)],
        t.dtype,
        t.site,
      )
      return { ...to('transpose', to('reshape', part, [...p.rows, ...p.columns]), t.axes), marks: t.marks }
    })
  }
