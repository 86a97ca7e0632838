/**
 * A graph as a list, for messages between threads: nodes name their inputs by place. Graphs are deeper than what copies
 * objects across threads can follow, and their sites are found by looking at stacks.
 *
 * What engines do not read stays behind: the marks of layers.
 */
import {
  type Axis,
  type Dtype,
  node,
  type Op,
  type Site,
  settledSite,
  type Tensor,
  topological,
  type Variant,
} from '../../dsl/index.ts'
import type { Data } from '../values.ts'

interface FlatNode {
  readonly op: Op
  /** Places of earlier nodes. */
  readonly inputs: readonly number[]
  readonly axes: readonly Axis[]
  readonly dtype: Dtype
  /** Place of the line that built it. */
  readonly site: number
}

/** Names or keys, and places of nodes. */
type Roots = readonly (readonly [string, number])[]

interface FlatVariant {
  readonly inputs: Roots
  readonly states: Roots
  readonly outputs: Roots
  readonly next: Roots
}

/** Variants over one list of nodes, in which what they share is there once. */
export interface FlatGraph {
  readonly nodes: readonly FlatNode[]
  readonly sites: readonly string[]
  readonly variants: readonly FlatVariant[]
}

/** Numbers things in the order in which they come. */
const numbering = <A>() => {
  const places = new Map<A, number>()
  return {
    all: (): readonly A[] => [...places.keys()],
    placeOf: (a: A): number => {
      const had = places.get(a)
      if (had !== undefined) return had
      places.set(a, places.size)
      return places.size - 1
    },
  }
}

/**
 * Flattens variants.
 *
 * @param lend what stands for a literal's numbers in the message
 */
export const flatten = (variants: readonly Variant[], lend: (data: Data) => Data): FlatGraph => {
  const rootsOf = (v: Variant): readonly Tensor[] => [
    ...v.inputs.values(),
    ...v.states.values(),
    ...Object.values(v.outputs),
    ...v.next.values(),
  ]
  const lines = numbering<string>()
  const known = new Map<Site, number>()
  const lineOf = (t: Tensor): number => {
    const site = settledSite(t.site)
    const place = known.get(site) ?? lines.placeOf(site.line)
    known.set(site, place)
    return place
  }
  const literals = new Map<Op, Op>()
  const opOf = (op: Op): Op => {
    if (op.op !== 'constant') return op
    const flat = literals.get(op) ?? { ...op, data: lend(op.data) }
    literals.set(op, flat)
    return flat
  }
  const places = new Map<Tensor, number>()
  const nodes = topological(variants.flatMap(rootsOf)).map((t, i): FlatNode => {
    places.set(t, i)
    const inputs = t.inputs.map((x) => places.get(x)!)
    return { op: opOf(t.op), inputs, axes: t.axes, dtype: t.dtype, site: lineOf(t) }
  })
  const flat = (named: Iterable<readonly [string, Tensor]>): Roots =>
    [...named].map(([name, t]) => [name, places.get(t)!])
  return {
    nodes,
    variants: variants.map((v) => ({
      inputs: flat(v.inputs),
      states: flat(v.states),
      outputs: flat(Object.entries(v.outputs)),
      next: flat(v.next),
    })),
    sites: lines.all(),
  }
}

/** The variants that were flattened. */
export const unflatten = ({ nodes, sites, variants }: FlatGraph): readonly Variant[] => {
  const at = sites.map((line): Site => ({ line }))
  const made: Tensor[] = []
  for (const n of nodes)
    made.push(
      node(
        n.op,
        n.inputs.map((i) => made[i]!),
        n.axes,
        n.dtype,
        at[n.site]!,
      ),
    )
  const named = (roots: Roots): ReadonlyMap<string, Tensor> =>
    new Map(roots.map(([name, i]) => [name, made[i]!]))
  return variants.map((v) => ({
    inputs: named(v.inputs),
    states: named(v.states),
    outputs: Object.fromEntries(named(v.outputs)),
    next: named(v.next),
  }))
}
