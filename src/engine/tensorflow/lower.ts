/**
 * One variant of a function as nodes of the program's TensorFlow graph: a walk from what is wanted back to the leaves,
 * then the updates of the states, each after the reads of the value that it replaces.
 */
import { overVariant, sizes, type Tensor, topological, type Variant } from '../../dsl/index.ts'
import { type AdamWUpdate, adamWUpdates, updateRoots } from '../adamw-updates.ts'
import { attentionLimits, processorPasses } from '../processor-passes.ts'
import { attr } from '../proto/tensorflow.ts'
import { type Builder, nodeOf, type Ref } from './builder.ts'
import { emitInPlace, inPlace, inPlaceRoots, isOwn, sourceOf } from './in-place.ts'
import { loopsIn } from './loop.ts'
import { emitNode, operandsUsed } from './node.ts'
import { isSumOfSquares } from './patterns.ts'

/** A variant inside the graph: what is fed and what is fetched. */
export interface LoweredVariant {
  /** The function's input → its placeholder. Inputs that nothing depends on are not here. */
  readonly inputs: ReadonlyMap<string, Ref>
  /** The function's output → the tensor that holds it. */
  readonly outputs: ReadonlyMap<string, Ref>
  /** A tensor that is there once every state has its next value; undefined where none changes. */
  readonly done: Ref | undefined
  /** The states that it changes where they lie. */
  readonly inPlace: readonly string[]
}

/** Where the states live: the handle of each variable, by key. */
export type Handles = ReadonlyMap<string, string>

/** Lowers one variant under the scope `name` (`step.0`). */
export const lowerVariant = (g: Builder, name: string, given: Variant, handles: Handles): LoweredVariant => {
  g.scope(name)
  const variant = overVariant(processorPasses(attentionLimits, isSumOfSquares), given)
  const parts = inPlace(variant)
  const values = new Map<Tensor, Ref>()
  const inputs = new Map<string, Ref>()
  const reads = new Map<string, Ref>()

  const placeholder = (t: Tensor, input: string): Ref => {
    const shape = sizes(t.axes)
    const attrs = { dtype: attr.type(t.dtype), shape: attr.shape(shape) }
    return { name: g.op('Placeholder', [], attrs, `input/${input}`), dtype: t.dtype, shape }
  }
  const read = (t: Tensor, key: string): Ref => ({
    name: g.op('ReadVariableOp', [handles.get(key)!], { dtype: attr.type(t.dtype) }, `read/${key}`),
    dtype: t.dtype,
    shape: sizes(t.axes),
  })
  const shared = (table: Map<string, Ref>, key: string, make: () => Ref): Ref => {
    const ref = table.get(key) ?? make()
    table.set(key, ref)
    return ref
  }
  const loop = loopsIn(g)
  const emit = (t: Tensor): Ref => {
    const { op } = t
    if (op.op === 'input') return shared(inputs, op.name, () => placeholder(t, op.name))
    if (op.op === 'state') {
      const ref = shared(reads, op.key, () => read(t, op.key))
      return g.reshape(ref, sizes(t.axes))
    }
    const operands = operandsUsed(t).map((x) => values.get(x)!)
    return op.op === 'loop' ? loop(t, operands) : emitNode(g, t, operands)
  }
  const refOf = (t: Tensor): Ref => values.get(t)!

  const updates = adamWUpdates(variant)
  const updated = new Set(updates.flatMap((u) => [u.parameter, u.first, u.second]))
  const elsewhere = new Set([...updated, ...parts.map((p) => p.key)])
  const assigned = [...variant.next].filter(([key]) => !elsewhere.has(key))
  const outputs = Object.entries(variant.outputs)
  const roots = [
    ...outputs.map(([, t]) => t),
    ...assigned.map(([, t]) => t),
    ...parts.flatMap(inPlaceRoots),
    ...updates.flatMap(updateRoots),
    ...updates.filter((u) => u.settings.decay !== 0).map((u) => variant.states.get(u.parameter)!),
  ]
  for (const t of topological(roots, operandsUsed)) {
    g.blame(t)
    values.set(t, emit(t))
  }

  // Outputs are computed from the states as the call found them; a node each, because what is fed cannot be fetched.
  const fetched = new Map<string, Ref>()
  for (const [output, t] of outputs) {
    g.blame(t)
    const ref = refOf(t)
    // what may lie in a state's memory is taken out before the state changes there
    const kind = parts.length === 0 || isOwn(sourceOf(t)) ? 'Identity' : 'DeepCopy'
    const name = g.op(kind, [ref.name], { T: attr.type(t.dtype) }, `output/${output}`)
    fetched.set(output, { ...ref, name })
  }

  const afterReads = (node: string, ...keys: readonly string[]): void => {
    for (const key of keys) {
      const before = reads.get(key)
      if (before !== undefined) g.after(node, before.name)
    }
  }
  const effects: string[] = []
  const kept = new Set<Tensor>()
  // All next values are computed before the first state changes: the old value of one may be the new value of another.
  const next = assigned.map(([key, t]) => ({ key, t, ref: refOf(t) }))
  for (const { key, t, ref } of next) {
    g.blame(t)
    const type = t.dtype
    // a variable holds memory that neither the caller nor another variable has
    const source = sourceOf(t)
    const isShared = !isOwn(source) || kept.has(source)
    kept.add(source)
    const value = isShared ? g.op('DeepCopy', [ref.name], { T: attr.type(type) }) : ref.name
    const assign = g.op(
      'AssignVariableOp',
      [handles.get(key)!, value],
      { dtype: attr.type(type) },
      `assign/${key}`,
    )
    afterReads(assign, key)
    effects.push(assign)
  }
  for (const u of updates) {
    g.blame(variant.next.get(u.parameter))
    effects.push(adamW(g, u, refOf, handles, variant, afterReads))
  }
  if (parts.length > 0) {
    // all that reads a state's memory has run before it changes
    const before = g.op('NoOp', [], {}, 'before')
    const computed = [...fetched.values(), ...parts.flatMap(inPlaceRoots).map(refOf)]
    g.after(before, ...computed.map((r) => r.name), ...effects)
    for (const p of parts) {
      g.blame(variant.next.get(p.key))
      const spec = variant.states.get(p.key)!
      const node = emitInPlace(
        g,
        p,
        shared(reads, p.key, () => read(spec, p.key)),
        refOf,
      )
      g.after(node, before)
      effects.push(node)
    }
  }
  g.blame(undefined)
  const changed = parts.map((p) => p.key)
  if (effects.length === 0) return { inputs, outputs: fetched, done: undefined, inPlace: changed }
  const done = g.op('Identity', [g.int(0)], { T: attr.type('int32') }, 'done')
  g.after(done, ...effects)
  return { inputs, outputs: fetched, done: { name: done, dtype: 'int32', shape: [] }, inPlace: changed }
}

/**
 * AdamW (Loshchilov & Hutter 2019) in place. `ResourceApplyAdam` has no decoupled decay, so p ← p(1 − lr·decay) goes
 * first; and its powers βᵗ are given as 0, with lr·√c₂/c₁ and ε·√c₂ instead, which is the same step without the
 * cancellation in 1 − (1 − c).
 */
const adamW = (
  g: Builder,
  u: AdamWUpdate<Tensor>,
  refOf: (t: Tensor) => Ref,
  handles: Handles,
  variant: Variant,
  afterReads: (node: string, ...keys: readonly string[]) => void,
): string => {
  const float = { T: attr.type('float32') }
  const shared = (op: string, ...xs: readonly string[]): string =>
    g.once(`${op} ${xs.join(' ')}`, () => g.op(op, xs, float))
  const { beta1, beta2, epsilon, decay } = u.settings
  const lr = refOf(u.learningRate).name
  const root2 = shared('Sqrt', refOf(u.correction2).name)
  const rate = shared('RealDiv', shared('Mul', lr, root2), refOf(u.correction1).name)
  const eps = shared('Mul', root2, g.float(epsilon).name)
  const gradient = refOf(u.gradient)
  const scaled =
    u.factor === undefined ? gradient.name : g.op('Mul', [gradient.name, refOf(u.factor).name], float)
  const handle = (key: string): string => handles.get(key)!
  const zero = g.float(0).name
  const apply = g.op(
    'ResourceApplyAdam',
    [
      ...[handle(u.parameter), handle(u.first), handle(u.second), zero, zero, rate],
      ...[g.float(beta1).name, g.float(beta2).name, eps, scaled],
    ],
    float,
    `adamW/${u.parameter}`,
  )
  if (decay !== 0) {
    const one = g.float(1).name
    const keep = shared('Sub', one, shared('Mul', lr, g.float(decay).name))
    const decayed = g.op('Mul', [refOf(variant.states.get(u.parameter)!).name, keep], float)
    const assign = g.op(
      'AssignVariableOp',
      [handle(u.parameter), decayed],
      { dtype: attr.type('float32') },
      `decay/${u.parameter}`,
    )
    g.after(apply, assign)
  }
  afterReads(apply, u.parameter, u.first, u.second)
  return nodeOf(apply)
}
