/**
 * The picture of a model before it is drawn: boxes in boxes, joins where several results meet, and arrows between them.
 *
 * @since 0.1.0
 */

import { onlySettings } from '../../settings/index.ts'
import { grouped } from '../../terminal/index.ts'
import { type Axis, showAxes } from '../axis.ts'
import { type Tensor, topological } from '../graph.ts'
import { type Block, blocks, type Folded, folded } from './blocks.ts'
import type { GraphCost, IsParameter } from './cost.ts'
import { ownName } from './summary.ts'

/** What to draw. */
export interface DiagramOptions {
  /** The model's name; default `model`. */
  readonly name?: string
  /** How many levels of layers inside layers; default all. */
  readonly depth?: number
  /** Which states are parameters; default all. */
  readonly isParameter?: IsParameter
}

/** A layer, an input of the graph, or an operation outside the layers where several results meet. */
export interface Item {
  readonly kind: 'block' | 'input' | 'join'
  /** Unique in the diagram, made of letters and digits. */
  readonly id: string
  /** `trunk.blocks.0…23`, an input's name, or `+`. */
  readonly label: string
  /** The layer's kind; `''` where there is none. */
  readonly layer: string
  /** How many equal blocks in a row the item stands for. */
  readonly copies: number
  /** Axes of the result. */
  readonly axes: readonly Axis[]
  /** Of one copy; undefined but for blocks. */
  readonly cost: GraphCost | undefined
  /** What is inside, in an order in which arrows go forward. */
  readonly items: readonly Item[]
  /** Arrows between what is inside. */
  readonly arrows: readonly Arrow[]
}

/** An end of an arrow: an item, or the edge of the box around. */
export type End = Item | 'in' | 'out'

/** What flows where inside a box. */
export interface Arrow {
  readonly from: End
  readonly to: End
}

const symbols: Readonly<Record<string, string>> = {
  add: '+',
  sub: '−',
  mul: '×',
  div: '÷',
  contract: '·',
  max: 'max',
  min: 'min',
}

const symbolOf = (t: Tensor): string => {
  const { op } = t
  const name = op.op === 'composite' ? op.kind : 'fn' in op ? op.fn : op.op
  return symbols[name] ?? name
}

/** A composite as its operands see it: the definition is not drawn. */
const operands = (t: Tensor): readonly Tensor[] => (t.op.op === 'composite' ? t.inputs.slice(1) : t.inputs)

const union = <T>(sets: readonly ReadonlySet<T>[]): ReadonlySet<T> =>
  sets.length === 1 ? sets[0]! : new Set(sets.flatMap((s) => [...s]))

/** Item under construction, with its place in the order of the graph. */
interface Placed extends Item {
  readonly place: number
  readonly items: Placed[]
  readonly arrows: { from: Placed | 'in' | 'out'; to: Placed | 'in' | 'out' }[]
}

/**
 * Lays a graph's layers out as boxes in boxes. Equal blocks in a row stand as one, whose inside is that of the first. What
 * lies between layers and has one source is not shown, unless it is a composite; where several sources meet, a join is.
 *
 * @returns the box of the whole model
 * @category pictures
 */
export const diagram = (roots: readonly Tensor[], options: DiagramOptions = {}): Item => {
  const known = ['name', 'depth', 'isParameter']
  const {
    name = 'model',
    depth = Number.POSITIVE_INFINITY,
    isParameter,
  } = onlySettings('diagram', options, known)
  const { root, ownerOf } = blocks(roots, name, isParameter)
  const order = topological(roots, operands)
  const placeOf = new Map(order.map((t, i) => [t, i]))
  const nodesIn = new Map<Block, Tensor[]>()
  for (const t of order)
    for (let b: Block | undefined = ownerOf(t); b !== undefined; b = b.parent) {
      const list = nodesIn.get(b)
      if (list === undefined) nodesIn.set(b, [t])
      else list.push(t)
    }
  let count = 0
  const item = (part: Omit<Placed, 'id' | 'items' | 'arrows'>): Placed => ({
    ...part,
    id: `n${count++}`,
    items: [],
    arrows: [],
  })

  const boxOf = (f: Folded, around: string): Placed => {
    const { block, copies } = f
    const box = item({
      kind: 'block',
      label: block.parent === undefined ? name : ownName(f.path, around),
      layer: block.parent === undefined ? '' : block.layer,
      copies: copies.length,
      axes: block.output?.axes ?? [],
      cost: block.cost,
      place: block.output === undefined ? order.length : (placeOf.get(block.output) ?? 0),
    })
    if (block.depth < depth && f.children.length > 0) fillBox(box, f)
    return box
  }

  const fillBox = (box: Placed, f: Folded): void => {
    const scope = f.block
    const inner = new Map<Block, Placed>()
    for (const c of f.children) {
      const b = boxOf(c, f.path)
      box.items.push(b)
      for (const copy of c.copies) inner.set(copy, b)
    }
    const nodes = nodesIn.get(scope) ?? []
    const sources = new Map<Tensor, ReadonlySet<Placed | 'in'>>()
    const arrows = new Map<Placed | 'in', Set<Placed | 'out'>>()
    const point = (from: Placed | 'in', to: Placed | 'out'): void => {
      if (from !== 'in' && to !== 'out' && from.place >= to.place) return
      const set = arrows.get(from) ?? new Set()
      arrows.set(from, set)
      if (set.has(to)) return
      set.add(to)
      box.arrows.push({ from, to })
    }
    const itemOf = (t: Tensor): Placed | undefined => {
      for (let b: Block | undefined = ownerOf(t); b !== undefined && b !== scope; b = b.parent)
        if (b.parent === scope) return inner.get(b)
      return undefined
    }
    const nothing: ReadonlySet<Placed | 'in'> = new Set()
    const entry: ReadonlySet<Placed | 'in'> = new Set(['in'])
    const literal = (t: Tensor): boolean => ['state', 'constant', 'iota'].includes(t.op.op)
    const from = (x: Tensor): ReadonlySet<Placed | 'in'> =>
      sources.get(x) ??
      (scope.boundary.size > 0 ? (scope.boundary.has(x) ? entry : nothing) : literal(x) ? nothing : entry)

    for (const t of nodes) {
      const at = itemOf(t)
      if (at !== undefined) {
        for (const x of operands(t)) for (const s of from(x)) if (s !== at) point(s, at)
        sources.set(t, new Set([at]))
      } else if (t.op.op === 'input') {
        const pill = item({
          kind: 'input',
          label: t.op.name,
          layer: '',
          copies: 1,
          axes: t.axes,
          cost: undefined,
          place: placeOf.get(t)!,
        })
        box.items.push(pill)
        sources.set(t, new Set([pill]))
      } else {
        const met = union(operands(t).map(from))
        if (met.size === 0 || (met.size === 1 && t.op.op !== 'composite')) sources.set(t, met)
        else {
          const join = item({
            kind: 'join',
            label: symbolOf(t),
            layer: '',
            copies: 1,
            axes: t.axes,
            cost: undefined,
            place: placeOf.get(t)!,
          })
          box.items.push(join)
          for (const s of met) point(s, join)
          sources.set(t, new Set([join]))
        }
      }
    }
    for (const t of scope.output === undefined ? roots : [scope.output])
      for (const s of sources.get(t) ?? nothing) point(s, 'out')
    // a literal's path or an operation whose result no layer reads leads nowhere: leave it out
    for (let again = true; again; ) {
      again = false
      for (let i = box.items.length - 1; i >= 0; i--) {
        const x = box.items[i]!
        if (x.kind === 'block' || box.arrows.some((a) => a.from === x)) continue
        box.items.splice(i, 1)
        box.arrows.splice(0, box.arrows.length, ...box.arrows.filter((a) => a.to !== x))
        again = true
      }
    }
    box.items.sort((a, b) => a.place - b.place)
  }

  return boxOf(folded(root), '')
}

/** The name that a box goes by: `trunk.blocks.0…23 ×24`. */
export const titleOf = (x: Item): string => {
  const name = x.label === '' ? x.layer : x.label
  return x.copies > 1 ? `${name} ×${x.copies}` : name
}

/** The second line of a box: the layer and its result's axes. */
export const detailOf = (x: Item): string =>
  [x.label === '' ? '' : x.layer, x.axes.length === 0 ? '' : showAxes(x.axes)]
    .filter((s) => s !== '')
    .join(' · ')

/** The third line: how many parameters, and for how many copies. */
export const countOf = (x: Item): string => {
  const n = x.cost?.parameters ?? 0
  if (n === 0) return ''
  return x.copies > 1
    ? `${x.copies} × ${grouped(n)} = ${grouped(n * x.copies)} parameters`
    : `${grouped(n)} parameters`
}
