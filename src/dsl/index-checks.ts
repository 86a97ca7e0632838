/** Indices that inputs determine, checked before a graph runs. */
import { sizes } from './axis.ts'
import { nodeValue, offsets } from './evaluate.ts'
import { type Tensor, topological } from './graph.ts'
import { bareInput, type IndexUse, indexUses } from './index-uses.ts'
import { bodyRoots } from './loop.ts'
import { commonSubexpressions } from './passes/common-subexpressions.ts'

/** The integers and bools that are fed, by input. */
export type FedIntegers = (input: string) => ArrayLike<number>

/** Says what is wrong with the indices that these values give; undefined where nothing is. */
export type IndexCheck = (
  fed: FedIntegers,
) => { readonly use: IndexUse; readonly message: string } | undefined

const outside = (data: ArrayLike<number>, size: number): number => {
  for (let i = 0; i < data.length; i++) if (!(data[i]! >= 0 && data[i]! < size)) return i
  return -1
}

/** `[1, 5]`: the place of an element. */
const placeOf = (shape: readonly number[], at: number): string => {
  const places: number[] = []
  let rest = at
  for (let d = shape.length - 1; d >= 0; d--) {
    places.unshift(rest % shape[d]!)
    rest = Math.floor(rest / shape[d]!)
  }
  return `[${places.join(', ')}]`
}

type Values = ReadonlyMap<Tensor, Float64Array>

/** From which element of an input an element of an index comes, where it comes from one. */
const origin = (
  t: Tensor,
  at: number,
  values: Values,
): { readonly input: Tensor; readonly at: number } | undefined => {
  const { op } = t
  const under = (x: Tensor): number => offsets(t.axes, x.axes)[at]!
  const [x, y, z] = t.inputs
  switch (op.op) {
    case 'input':
      return { input: t, at }
    case 'reshape':
    case 'stopGradient':
    case 'cast':
      return origin(x!, at, values)
    case 'transpose':
    case 'broadcast':
      return origin(x!, under(x!), values)
    case 'select':
      return values.get(x!)![under(x!)] === 0 ? origin(z!, under(z!), values) : origin(y!, under(y!), values)
    case 'binary': {
      const of = [x!, y!].filter((o) => topological([o]).some((n) => n.op.op === 'input'))
      return of.length === 1 ? origin(of[0]!, under(of[0]!), values) : undefined
    }
    case 'slice':
    case 'pad':
    case 'concat': {
      // the operation over numbers of places, from 1, tells where each element comes from
      let from = 1
      const starts = t.inputs.map((o) => {
        const start = from
        from += values.get(o)!.length
        return start
      })
      const marked = t.inputs.map((o, i) => values.get(o)!.map((_, k) => starts[i]! + k))
      const mark = nodeValue(t, marked)[at]!
      const which = starts.findLastIndex((s) => s <= mark)
      return which < 0 ? undefined : origin(t.inputs[which]!, mark - starts[which]!, values)
    }
    default:
      return undefined
  }
}

const explain = (use: IndexUse, at: number, values: Values): string => {
  const found = values.get(use.index)![at]!
  const range = `${use.name} takes 0 … ${use.size - 1}`
  const from = origin(use.index, at, values)
  if (from !== undefined && from.input.op.op === 'input') {
    const given = values.get(from.input)![from.at]!
    const place = from.input.axes.length === 0 ? '' : ` ${placeOf(sizes(from.input.axes), from.at)}`
    return `input '${from.input.op.name}'${place} is ${given}${given === found ? '' : `, which makes an index of ${found}`}; ${range}`
  }
  const names = topological([use.index]).flatMap((t) => (t.op.op === 'input' ? [`'${t.op.name}'`] : []))
  const of = names.length === 0 ? 'literals' : `input${names.length > 1 ? 's' : ''} ${names.join(', ')}`
  return `index ${placeOf(sizes(use.index.axes), at)}, computed from ${of}, is ${found}; ${range}`
}

/**
 * What checks the indices of a graph that its inputs determine: one pass over an input that is an index as it is, and the
 * integer operations on the way where there are some.
 */
export const indexCheck = (
  roots: readonly Tensor[],
  wanted: (u: IndexUse) => boolean = () => true,
): IndexCheck => {
  const checked = indexUses(roots).filter((u) => u.known === 'checked' && wanted(u))
  // the same index is often computed once for each use
  const indices = commonSubexpressions(checked.map((u) => u.index))
  const seen = new Map<Tensor, Set<number>>()
  const all = checked.map((u, i): IndexUse => ({ ...u, index: indices[i]! }))
  const uses = all.filter((u) => {
    const sizesSeen = seen.get(u.index) ?? new Set()
    seen.set(u.index, sizesSeen)
    if (sizesSeen.has(u.size)) return false
    sizesSeen.add(u.size)
    return true
  })
  const bare = uses.map((u) => bareInput(u.index))
  const orders = uses.map((u) => topological([u.index]))
  return (fed) => {
    const values = new Map<Tensor, Float64Array>()
    const compute = (i: number): Float64Array => {
      for (const t of orders[i]!)
        if (!values.has(t))
          values.set(
            t,
            t.op.op === 'input'
              ? new Float64Array(fed(t.op.name))
              : nodeValue(
                  t,
                  t.inputs.map((x) => values.get(x)!),
                ),
          )
      return values.get(uses[i]!.index)!
    }
    for (const [i, use] of uses.entries()) {
      const name = bare[i]
      if (name !== undefined && outside(fed(name), use.size) < 0) continue
      const at = outside(compute(i), use.size)
      if (at >= 0) return { use, message: explain(use, at, values) }
    }
    return undefined
  }
}

/** The roots, and those of the loops that they depend on. */
const withBodies = (roots: readonly Tensor[]): readonly Tensor[] => [
  ...roots,
  ...topological(roots).flatMap((t) => (t.op.op === 'loop' ? withBodies(bodyRoots(t.op.body)) : [])),
]

/** What is wrong with indices that are written in the graph itself, where something is. */
export const literalFault = (roots: readonly Tensor[]): ReturnType<IndexCheck> =>
  indexCheck(withBodies(roots), (u) => topological([u.index]).every((t) => t.op.op !== 'input'))(() => [])
