/**
 * Rows that know nothing of one another, in parts: the variant over a part of them is run once a part, side by side, each on
 * a thread of its own. Threads that share every operation wait for one another some hundred times a token.
 */
import {
  type Axis,
  type Data,
  elements,
  type LoopBody,
  node,
  rewrite,
  sizes,
  type Tensor,
  topological,
  type Variant,
} from '../../dsl/index.ts'
import { rootsOf, withRoots } from '../../dsl/internal.ts'
import { callsAtOnce } from '../foreign.ts'

/** How the tensors of a part lie in the whole. */
export interface RowParts {
  readonly count: number
  /** For each input and output of the model that has the rows: their place among its dimensions. */
  readonly at: ReadonlyMap<string, number>
}

/** Fewest rows of a part: products of fewer take nearly as long as these. */
const fewest = 16

/** Most numbers in the weights: each part reads them all, and beyond the caches of a processor that is what takes time. */
export const mostWeights = 2 ** 23

/** The place of the rows among a tensor's axes, −1 where it has them not. */
export const rowsIn = (t: { readonly axes: readonly Axis[] }, rows: Axis): number =>
  t.axes.findIndex((a) => a.name === rows.name)

const before = (t: Tensor, at: number): number => elements(t.axes.slice(0, at))

/** Whether a node that has the rows, as some of its inputs do, computes each of them from its own alone. */
const keepsApart = (t: Tensor, rows: Axis): boolean => {
  const { op } = t
  switch (op.op) {
    case 'softmax':
    case 'logSoftmax':
      return op.over !== rows.name
    case 'slice':
    case 'pad':
    case 'concat':
      return op.along !== rows.name
    case 'reshape':
      return before(t, rowsIn(t, rows)) === before(t.inputs[0]!, rowsIn(t.inputs[0]!, rows))
    case 'gather':
      return rowsIn(t.inputs[0]!, rows) !== 0
    case 'scatterAdd':
    case 'outerChosen':
      return false
    default:
      return true
  }
}

/** Whether a node can be computed for a part of the rows by itself. */
const parts = (t: Tensor, rows: Axis): boolean => {
  const at = rowsIn(t, rows)
  if (t.inputs.some((x) => rowsIn(x, rows) >= 0)) return at >= 0 && keepsApart(t, rows)
  if (at < 0) return true
  // a part of a state is a stretch of its memory
  return t.op.op === 'state' ? at === 0 : ['input', 'argument', 'constant', 'broadcast'].includes(t.op.op)
}

/** The stretches of an array of these dimensions that belong to one part, `[start, end]`. */
const stretches = (shape: readonly number[], at: number, part: number, count: number) => {
  const own = shape.slice(at).reduce((n, s) => n * s, 1) / count
  const outer = shape.slice(0, at).reduce((n, s) => n * s, 1)
  return Array.from({ length: outer }, (_, i) => [
    (i * count + part) * own,
    (i * count + part + 1) * own,
  ]) as readonly (readonly [number, number])[]
}

/** One part of an array, or of what lies under these dimensions of it: a copy. */
export const partOf = (
  data: Data,
  shape: readonly number[],
  at: number,
  part: number,
  count: number,
): Data => {
  const out = data.slice(0, data.length / count)
  let to = 0
  for (const [start, end] of stretches(shape, at, part, count)) {
    out.set(data.subarray(start, end), to)
    to += end - start
  }
  return out
}

/** Puts one part into the whole, whose dimensions these are. */
export const putPart = (
  whole: Data,
  shape: readonly number[],
  at: number,
  part: number,
  count: number,
  data: Data,
): void => {
  let from = 0
  for (const [start, end] of stretches(shape, at, part, count)) {
    whole.set(data.subarray(from, from + end - start), start)
    from += end - start
  }
}

/** A literal for one part; undefined where it is not the same for all. */
const literal = (t: Tensor, rows: Axis, axes: readonly Axis[], count: number): Tensor | undefined => {
  if (t.op.op !== 'constant') return undefined
  const { data } = t.op
  const at = rowsIn(t, rows)
  const [first, ...others] = Array.from({ length: count }, (_, i) =>
    partOf(data, sizes(t.axes), at, i, count),
  )
  return others.every((o) => o.every((x, i) => x === first![i]))
    ? node({ op: 'constant', data: first! }, [], axes, t.dtype, t.site)
    : undefined
}

/** In how many parts so many rows are computed by at most so many threads, of which `calls` can be begun at once. */
export const partsOf = (rows: number, threads: number, calls = callsAtOnce()): number => {
  for (let n = Math.min(threads, calls); n > 1; n--) if (rows % n === 0 && rows / n >= fewest) return n
  return 1
}

/**
 * For how many threads the session of so many parts is made: each part comes with a thread, and a session makes one less than
 * it is told, for all of them together.
 */
export const sessionThreads = (threads: number, parts: number): number => Math.max(1, threads - parts + 1)

/** A graph over one of so many parts of the rows, roots for roots; undefined where something depends on several rows. */
const graphOverPart = (
  roots: readonly Tensor[],
  rows: Axis,
  count: number,
): readonly Tensor[] | undefined => {
  const all = topological(roots)
  const known = (t: Tensor): boolean => t.axes.every((a) => a.name !== rows.name || a.size === rows.size)
  if (!all.every((t) => known(t) && parts(t, rows))) return undefined
  const literals = new Map<Tensor, Tensor>()
  const bodies = new Map<LoopBody, LoopBody>()
  for (const t of all) {
    if (t.op.op === 'constant' && rowsIn(t, rows) >= 0) {
      const part = literal(t, rows, smaller(t.axes, rows, count), count)
      if (part === undefined) return undefined
      literals.set(t, part)
    }
    if (t.op.op === 'loop' && !bodies.has(t.op.body)) {
      const part = bodyOverPart(t.op.body, rows, count)
      if (part === undefined) return undefined
      bodies.set(t.op.body, part)
    }
  }
  return rewrite(roots, (t, was) => {
    const op = was.op.op === 'loop' ? { ...was.op, body: bodies.get(was.op.body)! } : was.op
    const axes = smaller(was.axes, rows, count)
    return literals.get(was) ?? { ...t, op, axes }
  })
}

const bodyOverPart = (body: LoopBody, rows: Axis, count: number): LoopBody | undefined => {
  const done = body.done === undefined ? [] : [body.done]
  const found = graphOverPart([...body.arguments, ...body.results, ...done], rows, count)
  const results = body.arguments.length + body.results.length
  return (
    found && {
      arguments: found.slice(0, body.arguments.length),
      results: found.slice(body.arguments.length, results),
      done: found[results],
    }
  )
}

const smaller = (axes: readonly Axis[], rows: Axis, count: number): readonly Axis[] =>
  axes.map((a) => (a.name === rows.name ? { ...a, size: a.size / count } : a))

/**
 * The variant over one of so many parts of its rows; undefined where something depends on several rows, or where the weights
 * are many.
 *
 * @param variant after the passes of processors
 * @param rows the axis, as outputs and inputs have it too
 */
export const overPart = (variant: Variant, rows: Axis, count: number): Variant | undefined => {
  const roots = rootsOf(variant)
  const weights = topological(roots).filter((t) => t.op.op === 'state' && rowsIn(t, rows) < 0)
  if (weights.reduce((n, t) => n + elements(t.axes), 0) > mostWeights) return undefined
  const found = graphOverPart(roots, rows, count)
  return found && withRoots(variant, found)
}
