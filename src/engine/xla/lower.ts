/**
 * One variant of a function as a StableHLO module: a walk from what is wanted back to the leaves. Inputs and states are
 * arguments; outputs come first among the results, next states after them, each in the memory of the state that it
 * replaces.
 */
import {
  narrow,
  overVariant,
  type StateSpec,
  sizes,
  type Tensor,
  topological,
  type Variant,
} from '../../dsl/index.ts'
import { rootsOf } from '../../dsl/internal.ts'
import type { Precision } from '../session.ts'
import { slotWrites } from '../state-writes.ts'
import { builder, type Value } from './builder.ts'
import * as hlo from './hlo.ts'
import { joinedSums } from './joined-sums.ts'
import { loopsIn } from './loop.ts'
import { emitNode } from './node.ts'
import { keeping } from './precision.ts'
import {
  annotation,
  cutOf,
  deviceCount,
  innerAnnotation,
  oneDevice,
  type Sharding,
  stateCut,
} from './sharding.ts'
import { operandsWith, writeSlots } from './slots.ts'
import type { Attention, Work } from './value.ts'

/** What is passed as an argument. */
export type Argument =
  | { readonly from: 'input'; readonly name: string }
  | { readonly from: 'state'; readonly key: string }

/** A variant as the compiler takes it. */
export interface Lowered {
  /** The module's text. */
  readonly text: string
  /** In the order of the parameters. */
  readonly arguments: readonly Argument[]
  /** Names of the outputs, in the order of the results. */
  readonly outputs: readonly string[]
  /** Keys of the states that are replaced, in the order of the results after the outputs. */
  readonly next: readonly string[]
  /** The user's node that a message of the compiler is about, if it names one. */
  readonly blamedIn: (message: string) => Tensor | undefined
}

/** How a variant is lowered. */
export interface LowerOptions {
  readonly precision?: Precision
  /** What the program is for: `cuda`, `cpu`. */
  readonly platform?: string
  /** Default `auto`. */
  readonly attention?: Attention
  /** How several devices share it, and the program's states. */
  readonly shared?: { readonly sharding: Sharding; readonly states: ReadonlyMap<string, StateSpec> }
}

/** Lowers one variant; the module has the function's name. */
export const lower = (
  name: string,
  given: Variant,
  { precision = 'float32', platform = 'cpu', attention = 'auto', shared }: LowerOptions = {},
): Lowered => {
  const variant = overVariant((roots) => joinedSums(narrow(roots)), given)
  const g = builder()
  const { sharding } = shared ?? { sharding: oneDevice }
  const w: Work = {
    ...{ g, precision, platform, attention },
    attended: new Map(),
    keptIn: keeping(precision),
    alone: deviceCount(sharding) === 1,
    dealt: (x, axes) => {
      const said = innerAnnotation(sharding, axes)
      return said === undefined ? x : hlo.annotated(g, x, said)
    },
  }
  const slots = new Map(
    slotWrites(variant)
      .flat()
      .map((s) => [s.next, s]),
  )
  const outputs = Object.keys(variant.outputs)
  const next = [...variant.next.keys()]
  const roots = rootsOf(variant)

  /** What the partitioner is told of a state, an input, an output; nothing where there is one device. */
  const stateAnnotation = (key: string): string | undefined =>
    shared && annotation(sharding, stateCut(sharding, shared.states.get(key)!))
  const inputAnnotation = ({ axes }: Tensor): string | undefined =>
    annotation(sharding, cutOf(sharding, axes))
  const outputAnnotation = (): string | undefined => annotation(sharding, [])
  const joined = (...attributes: readonly (string | undefined)[]): string | undefined =>
    attributes.filter((a) => a !== undefined).join(', ') || undefined

  const dependsOn = operandsWith(w, slots)
  const order = topological(roots, dependsOn)

  const args: Argument[] = []
  const leaves = new Map<string, Value>()
  const leaf = (t: Tensor, id: string, argument: Argument, attributes?: string): Value => {
    const had = leaves.get(id)
    if (had !== undefined) return had
    args.push(argument)
    const value = g.argument(t.dtype, sizes(t.axes), attributes)
    leaves.set(id, value)
    return value
  }

  const values = new Map<Tensor, Value>()
  const loop = loopsIn(w)
  const emit = (t: Tensor): Value => {
    const { op } = t
    if (op.op === 'input')
      return leaf(t, `input ${op.name}`, { from: 'input', name: op.name }, inputAnnotation(t))
    if (op.op === 'state') {
      const result = next.indexOf(op.key)
      const donated = result < 0 ? undefined : `tf.aliasing_output = ${outputs.length + result} : i32`
      return leaf(
        t,
        `state ${op.key}`,
        { from: 'state', key: op.key },
        joined(donated, stateAnnotation(op.key)),
      )
    }
    const operands = dependsOn(t).map((x) => values.get(x)!)
    const slot = slots.get(t)
    if (slot !== undefined) return writeSlots(w, slot, operands)
    if (op.op === 'loop') return loop(t, operands)
    const value = emitNode(w, t, operands)
    // what a product or a stack is made of follows
    return op.op === 'contract' || op.op === 'concat' ? w.dealt(value, t.axes) : value
  }
  for (const t of order) {
    g.blame(t)
    values.set(t, emit(t))
  }
  const results = roots.map((t) => {
    g.blame(t)
    return hlo.convert(g, values.get(t)!, t.dtype)
  })
  g.blame(undefined)
  const attributes = [...Object.values(variant.outputs).map(outputAnnotation), ...next.map(stateAnnotation)]
  return { text: g.module(name, results, attributes), arguments: args, outputs, next, blamedIn: g.blamedIn }
}
