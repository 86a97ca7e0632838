/**
 * A model of four parameters whose gradients fit on a page: y ≈ W x + b + H (x ⊙ g). As graph, as objective, and by hand.
 */
import {
  add,
  axis,
  contract,
  input,
  keys,
  mul,
  normal,
  ones,
  parameter,
  type Scalar,
  square,
  sub,
  sum,
  type Tensor,
  total,
  zeros,
} from '../../src/dsl/index.ts'
import { tensorValue } from '../../src/engine/values.ts'
import type { Model } from '../../src/models/model.ts'
import type { MicroBatch, Objective } from '../../src/train/objective.ts'
import type { PlainState } from './plain-adamw.ts'

const [In, Out] = [axis('in', 4), axis('out', 3)]

/** Sizes of the parameters, in the order of {@link leaves}. */
export const shapes: ReadonlyMap<string, readonly number[]> = new Map([
  ['body.weight', [3, 4]],
  ['body.bias', [3]],
  ['head.weight', [3, 4]],
  ['norm.weight', [4]],
])

/** The parameters by key. */
export const leaves = (): ReadonlyMap<string, Tensor> =>
  new Map<string, Tensor>([
    ['body.weight', parameter('body.weight', [Out, In], normal(0.7))],
    ['body.bias', parameter('body.bias', [Out], zeros)],
    ['head.weight', parameter('head.weight', [Out, In], normal(0.7))],
    ['norm.weight', parameter('norm.weight', [In], ones)],
  ])

/** Σ of the squares of each row, times what the row counts: `x` [row, 4], `y` [row, 3], `counts` [row]. */
export const squares = (rows: number): { readonly sum: Scalar; readonly weight: Scalar } => {
  const Row = axis('row', rows)
  const [w, b, h, g] = [...leaves().values()] as [Tensor, Tensor, Tensor, Tensor]
  const [x, y, counts] = [input('x', [Row, In]), input('y', [Row, Out]), input('counts', [Row])]
  const told = add(add(contract(x as Tensor, w, 'in'), b), contract(mul(x, g) as Tensor, h, 'in'))
  const each = sum(square(sub(told, y)) as Tensor, 'out')
  return { sum: total(mul(each, counts)), weight: total(counts) }
}

/** One example: what is read, what is to be told, and how much it counts. */
export interface Example {
  readonly x: readonly number[]
  readonly y: readonly number[]
  readonly counts: number
}

/** The i-th example; no two are alike, and they count differently. */
export const exampleAt = (i: number): Example => ({
  x: Array.from({ length: 4 }, (_, k) => Math.sin(3 * i + k)),
  y: Array.from({ length: 3 }, (_, k) => 4 * Math.cos(i + 2 * k)),
  counts: 1 + (i % 3),
})

/** Examples as inputs. */
export const inputsOf = (examples: readonly Example[]): MicroBatch => ({
  sizes: { rows: examples.length },
  inputs: {
    x: tensorValue(
      'float32',
      [examples.length, 4],
      examples.flatMap((e) => e.x),
    ),
    y: tensorValue(
      'float32',
      [examples.length, 3],
      examples.flatMap((e) => e.y),
    ),
    counts: tensorValue(
      'float32',
      [examples.length],
      examples.map((e) => e.counts),
    ),
  },
})

/** Σ of the squares and its gradients by hand: with r = W x + b + H (x ⊙ g) − y they are 2 r xᵀ, 2 r, 2 r (x ⊙ g)ᵀ, 2 (Hᵀ r) ⊙ x. */
export const byHand = (s: PlainState, examples: readonly Example[]) => {
  const [W, B, H, G] = [...shapes.keys()].map((k) => s.get(k)!.p) as [
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
  ]
  const gradients = new Map([...shapes.keys()].map((k) => [k, new Float64Array(s.get(k)!.p.length)]))
  const to = (key: string, i: number, by: number): void => {
    gradients.get(key)![i]! += by
  }
  let sum = 0
  for (const { x, y, counts } of examples)
    for (let o = 0; o < 3; o++) {
      let r = B[o]! - y[o]!
      for (let i = 0; i < 4; i++) r += (W[o * 4 + i]! + H[o * 4 + i]! * G[i]!) * x[i]!
      sum += counts * r * r
      to('body.bias', o, 2 * counts * r)
      for (let i = 0; i < 4; i++) {
        to('body.weight', o * 4 + i, 2 * counts * r * x[i]!)
        to('head.weight', o * 4 + i, 2 * counts * r * x[i]! * G[i]!)
        to('norm.weight', i, 2 * counts * r * H[o * 4 + i]! * x[i]!)
      }
    }
  return { sum, weight: examples.reduce((n, e) => n + e.counts, 0), gradients }
}

/** The parts of the model. */
export const parts = {
  body: keys('body', 'body.**'),
  head: keys('head', 'head.**', 'norm.**'),
} as const

/** The model as a value. */
export const regression: Model = {
  name: 'regression',
  config: { kind: 'regression' },
  parts,
  graph: () => squares(2).sum,
}

/** The mean of the squares, over micro-batches of so many examples. */
export const meanSquare = (rows: number): Objective<Example> => ({
  name: 'meanSquare',
  config: { kind: 'meanSquare', rows },
  unit: 'squares',
  model: regression,
  batch: rows,
  buckets: [{ rows }],
  terms: (sizes) => squares(sizes.rows!),
  collate: (examples) => {
    const batches: MicroBatch[] = []
    for (let at = 0; at < examples.length; at += rows) batches.push(inputsOf(examples.slice(at, at + rows)))
    return batches
  },
})
