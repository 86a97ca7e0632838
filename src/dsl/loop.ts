/** Steps that repeat inside one call: what each carries to the next is computed by one body. */
import { onlySettings } from '../settings/index.ts'
import { sameAxes, showAxes } from './axis.ts'
import { GraphError } from './error.ts'
import {
  type LoopBody,
  node,
  type Op,
  rewrite,
  type Scalar,
  type Tensor,
  topological,
  withInputs,
} from './graph.ts'
import { type Site, siteOf } from './site.ts'

/** Tensors by name. */
export type Carried = Readonly<Record<string, Tensor>>

/** What one step gives to the next. */
export interface LoopStep<C extends Carried> {
  readonly next: { readonly [K in keyof C]: Tensor }
  /** bool: whether this step was the last one, before `times` are through; default never. */
  readonly done?: Scalar
}

/** What a {@link loop} is made of. */
export interface LoopOptions<C extends Carried> {
  /** Steps at most. */
  readonly times: number
  /** What the first step gets. */
  readonly carried: C
  /** Builds a step, once: from what is carried, and the step's number from 0, int32. */
  readonly step: (carried: C, i: Scalar) => LoopStep<C>
}

const argument = (at: number, like: Pick<Tensor, 'axes' | 'dtype'>, site: Site): Tensor =>
  node({ op: 'argument', at }, [], like.axes, like.dtype, site)

/** Literals are written again inside: they cost nothing there. */
const isLiteral = (t: Tensor): boolean => t.op.op === 'constant' || t.op.op === 'iota'

/** The results over arguments alone, and what each argument after these stands for outside. */
const closed = (
  results: readonly Tensor[],
  own: readonly Tensor[],
  site: Site,
): { readonly results: readonly Tensor[]; readonly captured: ReadonlyMap<Tensor, Tensor> } => {
  const inside = new Set<Tensor>(own)
  for (const t of topological(results)) if (t.inputs.some((x) => inside.has(x))) inside.add(t)
  const captured = new Map<Tensor, Tensor>()
  const local = new Map<Tensor, Tensor>()
  const over = (x: Tensor): Tensor => {
    if (inside.has(x)) return local.get(x) ?? x
    if (isLiteral(x)) return x
    const had = captured.get(x)
    if (had !== undefined) return had
    const made = argument(own.length + captured.size, x, site)
    captured.set(x, made)
    return made
  }
  const order = topological(results, (t) => (inside.has(t) ? t.inputs : []))
  for (const t of order) if (inside.has(t)) local.set(t, withInputs(t, t.inputs.map(over)))
  return { results: results.map(over), captured }
}

/**
 * Repeats a step `times` times, or until a step says that it was the last; answers what the last one gave. What a step reads
 * from outside is the same in each. The number of steps is known when the graph is built; the body is built and compiled once.
 *
 * A loop has no gradient.
 *
 * @example
 * const x = input('x', [])
 * const { y } = loop({ times: 3, carried: { y: x }, step: ({ y }) => ({ next: { y: mul(y, 2) } }) })
 * evaluate([y], { inputs: { x: [5] } }) // [new Float64Array([40])]
 *
 * @throws GraphError `BadArgument` where `times` is no whole number from 0 on, or nothing is carried; `SizeMismatch` where a
 *   step gives other axes or another dtype than it got; `BadDtype` where `done` is not one bool
 * @category loops
 */
export const loop = <const C extends Carried>(options: LoopOptions<C>): C => {
  const { times, carried, step } = onlySettings('loop', options, ['times', 'carried', 'step'])
  const site = siteOf(loop)
  if (!Number.isSafeInteger(times) || times < 0)
    throw new GraphError('BadArgument', `loop: times is ${times}; give a whole number from 0 on`, site)
  const names = Object.keys(carried)
  if (names.length === 0)
    throw new GraphError(
      'BadArgument',
      'loop: nothing is carried; give what one step hands to the next',
      site,
    )
  const first = names.map((name) => carried[name]!)
  const counter = argument(0, { axes: [], dtype: 'int32' }, site)
  const given = first.map((t, i) => argument(1 + i, t, site))
  const { next, done } = step(
    Object.fromEntries(names.map((name, i) => [name, given[i]!])) as unknown as C,
    counter as Scalar,
  )
  const results = names.map((name, i) => {
    const [from, to] = [first[i]!, (next as Carried)[name]]
    if (to === undefined)
      throw new GraphError(
        'BadArgument',
        `loop: a step gives no '${name}' to the next; return it in next, changed or as it came`,
        site,
      )
    if (!sameAxes(from.axes, to.axes) || from.dtype !== to.dtype)
      throw new GraphError(
        'SizeMismatch',
        `loop: a step gets '${name}' as ${showAxes(from.axes)} (${from.dtype}) and gives ${showAxes(to.axes)} (${to.dtype}) to the next`,
        to.site,
        to.axes,
      )
    return to
  })
  if (done !== undefined && (done.axes.length > 0 || done.dtype !== 'bool'))
    throw new GraphError(
      'BadDtype',
      `loop: done is ${done.dtype} with ${showAxes(done.axes)}; one bool is needed`,
      done.site,
      done.axes,
    )
  const all = closed([...results, ...(done === undefined ? [] : [done])], [counter, ...given], site)
  const body: LoopBody = {
    arguments: [counter, ...given, ...all.captured.values()],
    results: all.results.slice(0, results.length),
    done: done === undefined ? undefined : all.results.at(-1)!,
  }
  const inputs = [...first, ...all.captured.keys()]
  return Object.fromEntries(
    names.map((name, of) => [
      name,
      node({ op: 'loop', times, of, body }, inputs, first[of]!.axes, first[of]!.dtype, site),
    ]),
  ) as unknown as C
}

/** What a body computes: its results, then whether it was the last step. */
export const bodyRoots = (body: LoopBody): readonly Tensor[] => [
  ...body.results,
  ...(body.done === undefined ? [] : [body.done]),
]

/**
 * A pass over graphs as one over the bodies of their loops too: nodes of one loop keep one body.
 *
 * @param pass what is done with a body's results; the arguments stay
 */
export const overBodies = (
  roots: readonly Tensor[],
  pass: (roots: readonly Tensor[]) => readonly Tensor[],
): readonly Tensor[] => {
  if (!topological(roots).some((t) => t.op.op === 'loop')) return roots
  const done = new Map<LoopBody, LoopBody>()
  const bodyOf = (body: LoopBody): LoopBody => {
    const had = done.get(body)
    if (had !== undefined) return had
    const now = pass(bodyRoots(body))
    const changed: LoopBody = {
      ...body,
      results: now.slice(0, body.results.length),
      done: body.done === undefined ? undefined : now.at(-1)!,
    }
    done.set(body, changed)
    return changed
  }
  return rewrite(roots, (t) =>
    t.op.op === 'loop' ? { ...t, op: { ...t.op, body: bodyOf(t.op.body) } satisfies Op } : t,
  )
}
