/**
 * The layers of a model as a tree, found in the marks of its graph, and which node belongs to which.
 *
 * Of a graph as it was built: passes keep neither all marks nor the tensors that they name.
 *
 * @since 0.1.0
 */
import { elements } from '../axis.ts'
import { type LayerMark, type Tensor, topological } from '../graph.ts'
import { activationBytesOf, bytesOf, flopsOf, type GraphCost, type IsParameter } from './cost.ts'

/** One application of a layer, or at the root the whole graph. */
export interface Block {
  /** Path in the model: `trunk.blocks.3`; `''` at the root. */
  readonly path: string
  /** The layer's kind: `selfAttention`. */
  readonly layer: string
  readonly parent: Block | undefined
  /** How many layers this one is inside of. */
  readonly depth: number
  /** Its last result; undefined at the root. */
  readonly output: Tensor | undefined
  /** What it was applied to, where its marks say so. */
  readonly boundary: ReadonlySet<Tensor>
  /** The layers inside, in the order in which they finish. */
  readonly children: readonly Block[]
  /** Everything inside, the layers inside included. */
  readonly cost: GraphCost
}

/** A tree of blocks over a graph. */
export interface Blocks {
  readonly root: Block
  /** The innermost block that a node belongs to. */
  readonly ownerOf: (t: Tensor) => Block
  /** The graph, each node after its inputs. */
  readonly order: readonly Tensor[]
}

interface Draft {
  readonly path: string
  readonly layer: string
  readonly parent: Draft | undefined
  readonly depth: number
  readonly output: Tensor | undefined
  readonly boundary: Set<Tensor>
  readonly children: Draft[]
  /** By identity: each application of a layer makes a mark of its own. */
  readonly byMark: Map<LayerMark, Draft>
  readonly cost: { flops: number; activationBytes: number; parameters: number; parameterBytes: number }
  /** Place of its last result in the order of the graph. */
  readonly end: number
}

const draft = (
  mark: LayerMark,
  parent: Draft | undefined,
  output: Tensor | undefined,
  end: number,
): Draft => ({
  path: mark.path,
  layer: mark.layer,
  parent,
  depth: parent === undefined ? 0 : parent.depth + 1,
  output,
  boundary: new Set(),
  children: [],
  byMark: new Map(),
  cost: { flops: 0, activationBytes: 0, parameters: 0, parameterBytes: 0 },
  end,
})

const common = (a: Draft, b: Draft): Draft => {
  let [x, y] = [a, b]
  while (x !== y) {
    if (x.depth >= y.depth) x = x.parent!
    else y = y.parent!
  }
  return x
}

/** Whether `path` is `scope` or below it. */
const under = (path: string, scope: string): boolean =>
  scope === '' || path === scope || path.startsWith(`${scope}.`)

/**
 * Finds the blocks of a graph, walking back from its results. Going from a node to an input leaves every layer that was
 * applied to that input; arriving at the result of a layer enters it. A node that several layers read and that belongs to
 * none of them (a mask, rotary angles) goes to the innermost layer around all of them. A state goes to the layer whose path
 * its key begins with, among those that read it, and to the first of them: a tied head owns nothing.
 *
 * Where a mark does not say what the layer was applied to, the layer is left at the result of another whose path is not
 * below its own, and what lies between counts as part of the later one.
 *
 * What comes after the last layer (a loss, gradients, an optimizer) belongs to the root.
 *
 * @category blocks
 */
export const blocks = (
  roots: readonly Tensor[],
  name = 'model',
  isParameter: IsParameter = () => true,
): Blocks => {
  const order = topological(roots)
  const inside = new Set(order)
  const root = draft({ path: '', layer: name }, undefined, undefined, order.length)
  const owner = new Map<Tensor, Draft>()
  /** The innermost block around all readers seen so far; only readers that lead to a layer's result count. */
  const around = new Map<Tensor, Draft>()
  const readers = new Map<string, { tensor: Tensor; blocks: Draft[] }>()

  const enter = (at: Draft, mark: LayerMark, t: Tensor, place: number): Draft => {
    const had = at.byMark.get(mark)
    const block = had ?? draft(mark, at, t, place)
    if (had === undefined) {
      at.byMark.set(mark, block)
      at.children.push(block)
    }
    if (mark.input !== undefined && inside.has(mark.input)) block.boundary.add(mark.input)
    return block
  }

  const leave = (from: Draft, x: Tensor): Draft => {
    const outermost = x.marks[x.marks.length - 1]
    let out = from
    for (let b: Draft | undefined = from; b?.parent !== undefined; b = b.parent)
      if (b.boundary.size > 0 ? b.boundary.has(x) : outermost !== undefined && !under(outermost.path, b.path))
        out = b.parent
    return out
  }

  for (let i = order.length - 1; i >= 0; i--) {
    const t = order[i]!
    const context = around.get(t)
    let at = context ?? root
    for (let k = t.marks.length - 1; k >= 0; k--) at = enter(at, t.marks[k]!, t, i)
    owner.set(t, at)
    if (t.op.op === 'state') {
      const read = readers.get(t.op.key) ?? { tensor: t, blocks: [] }
      readers.set(t.op.key, read)
      read.blocks.push(at)
    }
    if (context === undefined && t.marks.length === 0) continue
    for (const x of t.inputs) {
      const to = leave(at, x)
      const had = around.get(x)
      around.set(x, had === undefined ? to : common(had, to))
    }
  }

  for (const t of order) {
    if (t.op.op === 'state') continue
    const { cost } = owner.get(t)!
    cost.flops += flopsOf(t)
    cost.activationBytes += activationBytesOf(t)
  }
  for (const [key, { tensor, blocks }] of readers) {
    if (!isParameter(key)) continue
    const fit = blocks.filter((b) => b.path !== '' && under(key, b.path))
    // readers were met from the end, so that among equals the last of the list comes first in the model
    const best = fit.reduce<Draft | undefined>(
      (a, b) => (a === undefined || b.path.length >= a.path.length ? b : a),
      undefined,
    )
    const { cost } = best ?? blocks.reduce(common)
    cost.parameters += elements(tensor.axes)
    cost.parameterBytes += bytesOf(tensor)
  }
  const finish = (b: Draft): void => {
    b.children.sort((x, y) => x.end - y.end)
    for (const c of b.children) {
      finish(c)
      b.cost.flops += c.cost.flops
      b.cost.activationBytes += c.cost.activationBytes
      b.cost.parameters += c.cost.parameters
      b.cost.parameterBytes += c.cost.parameterBytes
    }
  }
  finish(root)
  return { root, ownerOf: (t) => owner.get(t) ?? root, order }
}

/** A block as it is shown: equal neighbours in a row stand as one. */
export interface Folded {
  readonly block: Block
  /** `trunk.blocks.0…23.attn` inside a row of equal blocks. */
  readonly path: string
  /** The blocks that it stands for, in order: `block` and its equals. */
  readonly copies: readonly Block[]
  /** How many blocks of the model it stands for, counting the copies of what it is inside of. */
  readonly times: number
  readonly children: readonly Folded[]
}

/** Gives blocks that look alike (all but the path that leads to them) one number. */
const looks = (): ((b: Block) => number) => {
  const numbers = new Map<string, number>()
  const known = new Map<Block, number>()
  const look = (b: Block): number => {
    const had = known.get(b)
    if (had !== undefined) return had
    const { flops, activationBytes, parameters } = b.cost
    const below = (c: Block): string =>
      under(c.path, b.path) ? c.path.slice(b.path.length) : `\u0001${c.path}`
    const key = JSON.stringify([
      b.layer,
      b.output?.axes,
      b.output?.dtype,
      flops,
      activationBytes,
      parameters,
      b.children.map((c) => [below(c), look(c)]),
    ])
    const n = numbers.get(key) ?? numbers.size
    numbers.set(key, n)
    known.set(b, n)
    return n
  }
  return look
}

/** `blocks.` `3` `.attn` where `b` is `blocks.4.attn`: the one number by which two paths differ by 1. */
const nextPath = (a: string, b: string): { readonly head: string; readonly tail: string } | undefined => {
  const [x, y] = [a.split('.'), b.split('.')]
  const at = x.findIndex((s, i) => s !== y[i])
  if (x.length !== y.length || at < 0 || x.slice(at + 1).some((s, i) => s !== y[at + 1 + i])) return undefined
  if (!/^\d+$/.test(x[at]!) || Number(x[at]) + 1 !== Number(y[at])) return undefined
  return { head: x.slice(0, at).join('.'), tail: x.slice(at + 1).join('.') }
}

const sameRow = (a: ReturnType<typeof nextPath>, b: ReturnType<typeof nextPath>): boolean =>
  a !== undefined && b !== undefined && a.head === b.head && a.tail === b.tail

const number = (path: string, head: string): string =>
  path.slice(head === '' ? 0 : head.length + 1).split('.')[0]!

/**
 * The tree with equal blocks in a row (`blocks.0` … `blocks.23`) standing as one.
 *
 * @param fold false to show every block
 * @category blocks
 */
export const folded = (root: Block, fold = true): Folded => {
  const look = looks()
  const show = (copies: readonly Block[], path: string, around: number): Folded => {
    const block = copies[0]!
    const times = around * copies.length
    const children: Folded[] = []
    for (let i = 0; i < block.children.length; ) {
      const first = block.children[i]!
      const run = [first]
      let row: ReturnType<typeof nextPath>
      for (let k = i + 1; fold && k < block.children.length; k++) {
        const [last, next] = [run[run.length - 1]!, block.children[k]!]
        const step = nextPath(last.path, next.path)
        if (look(next) !== look(first) || step === undefined || (row !== undefined && !sameRow(row, step)))
          break
        row = step
        run.push(next)
      }
      const own =
        row === undefined
          ? first.path
          : [
              row.head,
              `${number(first.path, row.head)}…${number(run[run.length - 1]!.path, row.head)}`,
              row.tail,
            ]
              .filter((s) => s !== '')
              .join('.')
      const full = under(own, block.path) ? path + own.slice(block.path.length) : own
      children.push(show(run, path === '' || full.startsWith('.') ? own : full, times))
      i += run.length
    }
    return { block, path, copies, times, children }
  }
  return show([root], root.path, 1)
}
