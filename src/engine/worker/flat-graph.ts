/**
 * A graph as a list, for messages between threads: nodes name their inputs by place. Graphs are deeper than what copies
 * objects across threads can follow, and their sites are found by looking at stacks.
 *
 * What engines do not read stays behind: the marks of layers.
 */
import {
  type Axis,
  bodyRoots,
  type Data,
  type Dtype,
  type LoopBody,
  node,
  type Op,
  type Site,
  settledSite,
  type Tensor,
  topological,
  type Variant,
} from '../../dsl/index.ts'
import { rootsOf } from '../../dsl/internal.ts'

type FlatOp =
  | Exclude<Op, { op: 'loop' }>
  | (Omit<Extract<Op, { op: 'loop' }>, 'body'> & { readonly body: FlatBody })

/** A loop's body: nodes of its own, and the places of its arguments, its results, and of what says that it is done. */
interface FlatBody {
  readonly nodes: readonly FlatNode[]
  readonly arguments: readonly number[]
  readonly results: readonly number[]
  readonly done: number | undefined
}

interface FlatNode {
  readonly op: FlatOp
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
  const lines = numbering<string>()
  const known = new Map<Site, number>()
  const lineOf = (t: Tensor): number => {
    const site = settledSite(t.site)
    const place = known.get(site) ?? lines.placeOf(site.line)
    known.set(site, place)
    return place
  }
  const literals = new Map<Op, FlatOp>()
  const bodies = new Map<LoopBody, FlatBody>()
  const bodyOf = (body: LoopBody): FlatBody => {
    const had = bodies.get(body)
    if (had !== undefined) return had
    const { nodes, places } = listOf([...body.arguments, ...bodyRoots(body)])
    const at = (t: Tensor): number => places.get(t)!
    const flat: FlatBody = {
      nodes,
      arguments: body.arguments.map(at),
      results: body.results.map(at),
      done: body.done === undefined ? undefined : at(body.done),
    }
    bodies.set(body, flat)
    return flat
  }
  const opOf = (op: Op): FlatOp => {
    if (op.op === 'loop') return { ...op, body: bodyOf(op.body) }
    if (op.op !== 'constant') return op
    const flat = literals.get(op) ?? { ...op, data: lend(op.data) }
    literals.set(op, flat)
    return flat
  }
  const listOf = (roots: readonly Tensor[]) => {
    const places = new Map<Tensor, number>()
    const nodes = topological(roots).map((t, i): FlatNode => {
      places.set(t, i)
      const inputs = t.inputs.map((x) => places.get(x)!)
      return { op: opOf(t.op), inputs, axes: t.axes, dtype: t.dtype, site: lineOf(t) }
    })
    return { nodes, places }
  }
  const { nodes, places } = listOf(
    variants.flatMap((v) => [...v.inputs.values(), ...v.states.values(), ...rootsOf(v)]),
  )
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
  const bodies = new Map<FlatBody, LoopBody>()
  const bodyOf = (flat: FlatBody): LoopBody => {
    const had = bodies.get(flat)
    if (had !== undefined) return had
    const made = madeOf(flat.nodes)
    const body: LoopBody = {
      arguments: flat.arguments.map((i) => made[i]!),
      results: flat.results.map((i) => made[i]!),
      done: flat.done === undefined ? undefined : made[flat.done]!,
    }
    bodies.set(flat, body)
    return body
  }
  const madeOf = (list: readonly FlatNode[]): readonly Tensor[] => {
    const made: Tensor[] = []
    for (const { op, inputs, axes, dtype, site } of list)
      made.push(
        node(
          op.op === 'loop' ? { ...op, body: bodyOf(op.body) } : op,
          inputs.map((i) => made[i]!),
          axes,
          dtype,
          at[site]!,
        ),
      )
    return made
  }
  const made = madeOf(nodes)
  const named = (roots: Roots): ReadonlyMap<string, Tensor> =>
    new Map(roots.map(([name, i]) => [name, made[i]!]))
  return variants.map((v) => ({
    inputs: named(v.inputs),
    states: named(v.states),
    outputs: Object.fromEntries(named(v.outputs)),
    next: named(v.next),
  }))
}
