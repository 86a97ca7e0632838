/**
 * The graph: immutable nodes over a small, closed set of primitive operations with static axes and dtypes.
 *
 * A {@link Tensor} *is* its node: what it computes (`op`), from what (`inputs`), and what comes out (`axes`, `dtype`).
 * Nodes have identity but no number, no owner and no global registry; two graphs can share any part.
 *
 * What every reader of a graph may rely on (the builders guarantee it):
 * - The axes of one node have distinct names; one name has one size wherever two operands meet.
 * - The operands of `binary`, `compare`, `logic` and `select` have axes that are a subsequence of the node's own axes
 *   (same order, some missing); a missing axis is broadcast. A node's axes are its axes: where all its operands lack one,
 *   the value repeats along it and still has all its elements. The pass `narrow` leaves no such node.
 * - Everything is row-major, outermost axis first.
 *
 * @since 0.1.0
 */
import type { Axis, Names } from './axis.ts'
import type { Init } from './init.ts'
import type { Site } from './site.ts'

/** Element types. Floating point is 32 bits wide; an engine may compute narrower inside. */
export type Dtype = 'float32' | 'int32' | 'bool'

/** Numbers of one dtype, row-major; bools are 0 and 1. */
export type Data = Float32Array | Int32Array | Uint8Array

/** The class of arrays that hold numbers of one dtype. */
interface DataClass {
  new (length: number): Data
  readonly name: string
  readonly of: (...numbers: number[]) => Data
  readonly from: (numbers: Iterable<number>) => Data
}

/** The class of each dtype. */
export const arrayOf: Readonly<Record<Dtype, DataClass>> = {
  float32: Float32Array,
  int32: Int32Array,
  bool: Uint8Array,
}

/** Elementwise functions of one operand. `not` maps bool to bool, the others float32 to float32 (`neg`, `abs` also int32). */
export type UnaryFn =
  | 'neg'
  | 'exp'
  | 'log'
  | 'sqrt'
  | 'rsqrt'
  | 'tanh'
  | 'erf'
  | 'sigmoid'
  | 'sin'
  | 'cos'
  | 'abs'
  | 'floor'
  | 'not'

/** Elementwise functions of two operands of one dtype, float32 or int32 (`pow`, `div` float32 only). */
export type BinaryFn = 'add' | 'sub' | 'mul' | 'div' | 'max' | 'min' | 'pow'

/** Comparisons: two operands of one dtype, bool out. */
export type CompareFn = 'equal' | 'less' | 'lessEqual'

/** Two bools in, bool out. */
export type LogicFn = 'and' | 'or'

/**
 * The primitive operations and what each needs to know beyond its inputs and its node's axes.
 *
 * | op | inputs | meaning |
 * |---|---|---|
 * | `input` | – | a named value that the caller of a function supplies |
 * | `state` | – | a named value that lives in the session (a weight, a moment, a cache); `init` fills it |
 * | `constant` | – | literal data, row-major |
 * | `iota` | – | int32 `0 … size−1` along the node's only axis |
 * | `unary` `binary` `compare` `logic` | 1, 2, 2, 2 | elementwise, with broadcasting by name |
 * | `select` | condition (bool), then, else | elementwise choice |
 * | `cast` | 1 | to the node's dtype; float → int truncates, bool → number gives 0 and 1 |
 * | `stopGradient` | 1 | identity; the gradient is zero |
 * | `reduce` | 1 | `sum` or `max` over the axes named in `over` |
 * | `argmax` | 1 | int32 index of the first largest element along `over` |
 * | `softmax` `logSoftmax` | 1 | along the axis `over`; axes unchanged |
 * | `contract` | a, b | Σ over the axes named in `over` (in both); names in both and not in `over` are batch; the node's axes are the remaining names in any order |
 * | `reshape` | 1 | the same elements in the same order under the node's axes (split, merge, rename) |
 * | `transpose` | 1 | the same axes in the node's order |
 * | `broadcast` | 1 | the input's axes are a subsequence of the node's; the others repeat |
 * | `slice` | 1 | `start … start+length−1` along `along` |
 * | `pad` | 1 | `before` and `after` zeros along `along` |
 * | `concat` | 1… | joined along `along`; the other axes equal, in one order |
 * | `gather` | table, index (int32) | rows of the table's *first* axis: axes = index's axes, then the table's others. Indices lie in range: `gather` says how that is seen to |
 * | `scatterAdd` | index (int32), rows | the adjoint of `gather`: axes = first axis `into`, then the rows' axes after the index's; equal indices add up |
 * | `contractChosen` | rows, index (int32), matrices… | rows begin with the index's axes, then one axis `over`: Σ over it of each row and the matrix that its index names. Indices lie in range as `gather`'s |
 * | `outerChosen` | a, b, index (int32) | its adjoint: Σ over the rows whose index is `choice` (of `of`) of a ⊗ b, whose own axes, one each, are the node's in any order |
 * | `loop` | first values…, captured… | result `of` of a body that is repeated `times` times, or until it says `done`: {@link LoopBody} |
 * | `argument` | – | what a loop's body is given in place `at` |
 * | `composite` | body, operands… | equal to its body; an engine that knows `kind` may compute it from the operands instead |
 */
export type Op =
  | { readonly op: 'input'; readonly name: string }
  | { readonly op: 'state'; readonly key: string; readonly init: Init }
  | { readonly op: 'constant'; readonly data: Data }
  | { readonly op: 'iota' }
  | { readonly op: 'unary'; readonly fn: UnaryFn }
  | { readonly op: 'binary'; readonly fn: BinaryFn }
  | { readonly op: 'compare'; readonly fn: CompareFn }
  | { readonly op: 'logic'; readonly fn: LogicFn }
  | { readonly op: 'select' }
  | { readonly op: 'cast' }
  | { readonly op: 'stopGradient' }
  | { readonly op: 'reduce'; readonly fn: 'sum' | 'max'; readonly over: Names }
  | { readonly op: 'argmax'; readonly over: string }
  | { readonly op: 'softmax'; readonly over: string }
  | { readonly op: 'logSoftmax'; readonly over: string }
  | { readonly op: 'contract'; readonly over: Names }
  | { readonly op: 'reshape' }
  | { readonly op: 'transpose' }
  | { readonly op: 'broadcast' }
  | { readonly op: 'slice'; readonly along: string; readonly start: number }
  | { readonly op: 'pad'; readonly along: string; readonly before: number; readonly after: number }
  | { readonly op: 'concat'; readonly along: string }
  | { readonly op: 'gather' }
  | { readonly op: 'scatterAdd' }
  | { readonly op: 'contractChosen'; readonly over: string }
  | { readonly op: 'outerChosen'; readonly choice: number; readonly of: number }
  | { readonly op: 'loop'; readonly times: number; readonly of: number; readonly body: LoopBody }
  | { readonly op: 'argument'; readonly at: number }
  | { readonly op: 'composite'; readonly kind: CompositeKind; readonly settings: Settings }

/**
 * A step of a loop, a graph of its own over `argument`s and literals. Arguments: the step's number (int32, from 0), what is
 * carried, what is captured: the same in each step. The results are what the next step is given as carried.
 */
export interface LoopBody {
  readonly arguments: readonly Tensor[]
  readonly results: readonly Tensor[]
  /** bool of rank 0: this step was the last. */
  readonly done: Tensor | undefined
}

/** The name of a primitive. */
export type OpName = Op['op']

/**
 * The composites that engines may know. Operands after the body:
 *
 * - `rmsNorm` x, weight · settings `axis`, `epsilon`
 * - `layerNorm` x, weight, bias · settings `axis`, `epsilon`
 * - `gelu`, `geluTanh`, `silu` x
 * - `rotary` x, cos, sin · settings `axis`
 * - `attention` q, k, v and, where there is one, mask (bool) · settings `scale`, `axis` (which
 *   queries and keys are multiplied along)
 * - `attentionGradient` what `attention` takes, then its result and what flows back into it · settings `scale`, `axis`,
 *   `part` (`q`, `k`, `v`: of which operand)
 * - `crossEntropy` logits, target (int32, in range) · settings `axis`; loss for each position
 * - `crossEntropyGradient` logits, target · settings `axis`; softmax − one-hot
 * - `adamW` parameter, first moment, second moment, gradient, learning rate, correction 1 (1−β₁ᵗ), correction 2 (1−β₂ᵗ)
 *   · settings `part` (`parameter`, `first`, `second`: which of the three results), `beta1`, `beta2`, `epsilon`, `decay`
 * - `cachedAttention` q (one a row), keys and values of the call's own tokens, keys and values that a cache holds, place (int32: the slot of
 *   the last of the own tokens) · settings `scale`, `axis`; the own tokens are seen and, of the cache, the slots before the
 *   first of them. Where a place is no slot of the cache the value is not defined
 * - `addN` any number of tensors of one shape: their sum
 * - `after` a value, then any others: the value, computed once the others are
 */
export type CompositeKind =
  | 'rmsNorm'
  | 'layerNorm'
  | 'gelu'
  | 'geluTanh'
  | 'silu'
  | 'rotary'
  | 'attention'
  | 'attentionGradient'
  | 'cachedAttention'
  | 'crossEntropy'
  | 'crossEntropyGradient'
  | 'adamW'
  | 'after'
  | (string & {})

/** What a composite is set to: plain data. */
export type Settings = Readonly<Record<string, number | string | boolean>>

/** The layer whose output a node is: `path` in the model (`trunk.blocks.3`), `layer` the kind (`selfAttention`). */
export interface LayerMark {
  readonly path: string
  readonly layer: string
  /** What the layer was applied to: where it begins. */
  readonly input?: Tensor
}

/** A value of the graph. `N` is the tuple of its axis names, outermost first. */
export interface Tensor<out N extends Names = Names> {
  readonly names: N
  readonly axes: readonly Axis[]
  readonly dtype: Dtype
  readonly op: Op
  readonly inputs: readonly Tensor[]
  /** The user's line that built it. */
  readonly site: Site
  /** The layers that made it and gave it back, innermost first: noted on the node, and no part of what it computes. */
  readonly marks: readonly LayerMark[]
}

/** The rank-0 tensor. */
export type Scalar = Tensor<readonly []>

/** Makes a node. Builders check; this does not. */
export const node = <const N extends Names = Names>(
  op: Op,
  inputs: readonly Tensor[],
  axes: readonly Axis[],
  dtype: Dtype,
  site: Site,
): Tensor<N> => {
  const t = { names: axes.map((a) => a.name) as Names as N, axes, dtype, op, inputs, site, marks: unmarked }
  made?.push(t)
  return t
}

const unmarked: readonly LayerMark[] = []

/** The nodes that were made since the outermost layer at work began, in order; undefined where none is at work. */
let made: Tensor[] | undefined

/**
 * Builds a layer's result and notes the layer on it. The node stays the one that it was: what a layer hands out of its
 * inside is what the graph holds. A node that was there before the layer began (its own input, an earlier layer's result)
 * is none of its making and gets no mark.
 */
export const marking = (mark: LayerMark, build: () => Tensor): Tensor => {
  const outermost = made === undefined
  made ??= []
  const from = made.length
  try {
    const y = build()
    if (made.indexOf(y, from) >= 0) (y as { marks: readonly LayerMark[] }).marks = [...y.marks, mark]
    return y
  } finally {
    if (outermost) made = undefined
  }
}

/** The same node over other inputs. */
export const withInputs = (t: Tensor, inputs: readonly Tensor[]): Tensor =>
  inputs.every((x, i) => x === t.inputs[i]) ? t : { ...t, inputs }

/**
 * All nodes that the roots depend on, each after its inputs (a topological order, deterministic).
 *
 * @param children what a node depends on; by default all its inputs. An engine that computes a composite from its
 *   operands passes a function that leaves the body out.
 * @category traversal
 */
export const topological = (
  roots: readonly Tensor[],
  children: (t: Tensor) => readonly Tensor[] = (t) => t.inputs,
): readonly Tensor[] => {
  const order: Tensor[] = []
  const seen = new Set<Tensor>()
  const stack: { readonly t: Tensor; readonly of: readonly Tensor[]; next: number }[] = []
  const enter = (t: Tensor): void => {
    if (seen.has(t)) return
    seen.add(t)
    stack.push({ t, of: children(t), next: 0 })
  }
  for (const root of roots) {
    enter(root)
    while (stack.length > 0) {
      const top = stack[stack.length - 1]!
      if (top.next < top.of.length) enter(top.of[top.next++]!)
      else {
        order.push(top.t)
        stack.pop()
      }
    }
  }
  return order
}

/** Whether a value is the same in every call: it depends on no input, no state and no argument of a loop. */
export const isFixed = (t: Tensor): boolean =>
  topological([t]).every(({ op }) => op.op !== 'input' && op.op !== 'state' && op.op !== 'argument')

/**
 * What a tensor leads back to through operations that only move or repeat numbers.
 *
 * @category traversal
 */
export const behind = (t: Tensor, ...through: readonly OpName[]): Tensor =>
  through.includes(t.op.op) ? behind(t.inputs[0]!, ...through) : t

/** The axis of that name, or undefined. */
export const findAxis = (t: Tensor, name: string): Axis | undefined => t.axes.find((a) => a.name === name)

/**
 * Rebuilds a graph bottom-up: `change` sees each node with its inputs already rewritten and returns what takes its place.
 * Shared nodes stay shared.
 *
 * @param from nodes that stay as they are, with all below them
 * @category traversal
 */
export const rewrite = (
  roots: readonly Tensor[],
  change: (t: Tensor, before: Tensor) => Tensor,
  from: readonly Tensor[] = [],
): Tensor[] => {
  const done = new Map(from.map((t) => [t, t]))
  for (const t of topological(roots, (t) => (done.has(t) ? [] : t.inputs)))
    if (!done.has(t))
      done.set(
        t,
        change(
          withInputs(
            t,
            t.inputs.map((x) => done.get(x)!),
          ),
          t,
        ),
      )
  return roots.map((r) => done.get(r)!)
}
