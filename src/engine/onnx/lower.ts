/**
 * One variant of a function as one ONNX graph: a walk from what is wanted back to the leaves, one {@link Plan} a
 * node.
 */
import {
  type Axis,
  type Dtype,
  overVariant,
  sizes,
  type Tensor,
  topological,
  type Variant,
} from '../../dsl/index.ts'
import { present } from '../../settings/internal.ts'
import { type AdamWUpdate, adamWUpdates, updateRoots } from '../adamw-updates.ts'
import { attentionLimits, processorPasses } from '../processor-passes.ts'
import { type ModelProto, onnxValue } from '../proto/onnx.ts'
import {
  type CachedAttentions,
  cachedAttentions,
  cachedAttentionUses,
  emitCachedAttention,
  noAttentions,
  type Written,
} from './cached-attention.ts'
import { type Emitter, emitter, type Mode, runtimeDomain } from './emitter.ts'
import { loopsIn } from './loop.ts'
import { type Overwrite, overwrites } from './overwrite.ts'
import { planner } from './plan.ts'
import { overPart, partsOf, type RowParts, rowsIn } from './row-parts.ts'

/** The ONNX operator set that is written; every operation used has its current meaning in it. */
export const opset = 21

/** An input or an output of a model. */
export interface OnnxTensor {
  readonly name: string
  readonly dtype: Dtype
  readonly shape: readonly number[]
}

/**
 * Where a result is found once the graph has run: among its outputs, or without running it. Its name is the output's, the
 * input's or the constant's, or the state's key.
 */
export type Source =
  | (OnnxTensor & { readonly from: 'output' | 'input' | 'state' })
  | (OnnxTensor & { readonly from: 'constant'; readonly data: ArrayBufferView })

/** A variant as the engine runs it. */
export interface Lowered {
  readonly model: ModelProto
  /** ONNX input name → the function's input. */
  readonly inputs: ReadonlyMap<string, string>
  /** ONNX input name → the key of the state that feeds it. */
  readonly states: ReadonlyMap<string, string>
  /** Names of the ONNX outputs; empty where nothing has to run. */
  readonly fetches: readonly string[]
  readonly outputs: ReadonlyMap<string, Source>
  /** States that are replaced by a result. */
  readonly next: ReadonlyMap<string, Source>
  /** Weights and moments that are updated beside the graph. */
  readonly updates: readonly AdamWUpdate<Source>[]
  /** States that are overwritten in part, beside the graph. */
  readonly overwrites: readonly Overwrite<Source>[]
  /** The model's inputs and outputs, in their order. */
  readonly tensors: { readonly inputs: readonly OnnxTensor[]; readonly outputs: readonly OnnxTensor[] }
  /** ONNX outputs that are bound to the state of a key: what the graph writes into memory that it reads. */
  readonly written: ReadonlyMap<string, string>
  /** Where the model computes a part of the rows: how its tensors lie in the whole. */
  readonly rows?: RowParts
  /** The graph node behind an ONNX node's name. */
  readonly ownerOf: (nodeName: string) => Tensor | undefined
}

interface Leaf {
  readonly from: 'input' | 'state'
  readonly name: string
}

/** Lowers what the roots need; answers each root's source. */
const lowerRoots = (
  roots: readonly Tensor[],
  e: Emitter,
  weights: ReadonlyMap<string, ArrayBufferView>,
  attentions: ReadonlySet<Tensor>,
): {
  readonly sourceOf: (t: Tensor) => Source
  readonly leaves: ReadonlyMap<string, Leaf & { t: Tensor }>
  readonly written: ReadonlyMap<string, string>
} => {
  const written: Written[] = []
  const plan = planner(roots, e.mode, (t) =>
    attentions.has(t)
      ? {
          uses: cachedAttentionUses(t),
          emit: (e, value) => {
            const { name, written: results } = emitCachedAttention(t, e, value)
            written.push(...results)
            return name
          },
        }
      : undefined,
  )
  const names = new Map<Tensor, string>()
  const leaves = new Map<string, Leaf & { t: Tensor }>()
  const leafNames = new Map<string, string>()
  const nameOf = (t: Tensor): string => names.get(t)!
  const loop = loopsIn(e)

  const leaf = (t: Tensor, from: 'input' | 'state', name: string): string => {
    const had = leafNames.get(`${from} ${name}`)
    if (had !== undefined) return had
    const weight = from === 'state' ? weights.get(name) : undefined
    const onnxName = weight === undefined ? e.unique(name) : e.weight(name, t.dtype, sizes(t.axes), weight)
    leafNames.set(`${from} ${name}`, onnxName)
    if (weight !== undefined) return onnxName
    leaves.set(onnxName, { from, name, t })
    return onnxName
  }

  for (const t of topological(roots, (x) => plan(x).uses)) {
    e.owner(t)
    const { op } = t
    names.set(
      t,
      op.op === 'input'
        ? leaf(t, 'input', op.name)
        : op.op === 'state'
          ? leaf(t, 'state', op.key)
          : op.op === 'loop'
            ? loop(t, t.inputs.map(nameOf))
            : plan(t).emit(e, nameOf),
    )
  }

  const sourceOf = (t: Tensor): Source => {
    const name = nameOf(t)
    const described = { dtype: t.dtype, shape: sizes(t.axes) }
    const at = leaves.get(name)
    if (at !== undefined) return { from: at.from, name: at.name, ...described }
    const constant = e.constantOf(name)
    return constant === undefined
      ? { from: 'output', name, ...described }
      : { from: 'constant', name, data: constant.data, ...described }
  }
  return { sourceOf, leaves, written: new Map(written) }
}

/** A variant over one of several parts of its rows. */
interface Part {
  readonly variant: Variant
  readonly attentions: CachedAttentions
  readonly rows: Axis
  readonly count: number
}

/** The variant over a part of the rows of its caches, where all that it does is read and write them and give results. */
const inParts = (whole: Variant, threads: number): Part | undefined => {
  const { states } = cachedAttentions(whole)
  const [key] = states
  const rows = key === undefined ? undefined : whole.states.get(key)?.axes[0]
  if (rows === undefined || states.size < whole.next.size) return undefined
  const count = partsOf(rows.size, threads)
  if (count === 1 || Object.values(whole.outputs).some((t) => t.inputs.length === 0)) return undefined
  const variant = overPart(whole, rows, count)
  if (variant === undefined) return undefined
  const attentions = cachedAttentions(variant)
  return attentions.states.size === states.size ? { variant, attentions, rows, count } : undefined
}

const partsIn = (
  { rows, count }: Part,
  tensors: readonly (readonly [name: string, t: Tensor])[],
): RowParts => ({
  count,
  at: new Map(tensors.flatMap(([n, t]) => (rowsIn(t, rows) < 0 ? [] : [[n, rowsIn(t, rows)] as const]))),
})

/** How a variant is lowered. */
export interface LowerOptions {
  /** Default `run`. */
  readonly mode?: Mode
  /** States that are constants of the graph; default none. */
  readonly weights?: ReadonlyMap<string, ArrayBufferView>
  /** Whether results may be bound to states; default no. */
  readonly bound?: boolean
  /** Threads that may compute parts of the rows side by side, where results are bound; default 1. */
  readonly threads?: number
}

/**
 * Lowers one variant. In `run` mode AdamW updates and overwritten parts stay beside the graph; in `export` mode everything is
 * in it.
 */
export const lower = (
  name: string,
  given: Variant,
  { mode = 'run', weights = new Map(), bound = false, threads = 1 }: LowerOptions = {},
): Lowered => {
  const whole = overVariant(
    processorPasses(mode === 'run' ? { ...attentionLimits, runs: true } : undefined),
    given,
  )
  const part = bound ? inParts(whole, threads) : undefined
  const variant = part?.variant ?? whole
  const attentions = part?.attentions ?? (bound ? cachedAttentions(variant) : noAttentions)
  const updates = mode === 'run' ? adamWUpdates(variant) : []
  const parts = mode === 'run' ? overwrites(variant).filter((o) => !attentions.states.has(o.state)) : []
  const beside = new Set([
    ...updates.flatMap((u) => [u.parameter, u.first, u.second]),
    ...parts.map((o) => o.state),
    ...attentions.states,
  ])
  const next = [...variant.next].filter(([key]) => !beside.has(key))
  const outputs = Object.entries(variant.outputs)
  const roots = [
    ...outputs.map(([, t]) => t),
    ...next.map(([, t]) => t),
    ...updates.flatMap(updateRoots),
    ...parts.flatMap((o) => o.inputs),
  ]

  const e = emitter(mode)
  const { sourceOf, leaves, written } = lowerRoots(roots, e, weights, attentions.nodes)
  const sources = new Map(roots.map((t) => [t, sourceOf(t)]))
  const at = (t: Tensor): Source => sources.get(t)!
  const fetched = new Map([...sources.values()].flatMap((s) => (s.from === 'output' ? [[s.name, s]] : [])))
  const tensors = {
    inputs: [...leaves].map(([n, l]) => ({ name: n, dtype: l.t.dtype, shape: sizes(l.t.axes) })),
    outputs: [
      ...[...fetched].map(([n, { dtype, shape }]) => ({ name: n, dtype, shape })),
      ...[...written].map(([n, key]) => {
        const { dtype, axes } = variant.states.get(key)!
        return { name: n, dtype, shape: sizes(axes) }
      }),
    ],
  }
  const rows =
    part &&
    partsIn(part, [
      ...[...leaves].map(([n, l]) => [n, l.t] as const),
      ...roots.flatMap((t) => (at(t).from === 'output' ? [[at(t).name, t] as const] : [])),
      ...[...written].map(([n, key]) => [n, variant.states.get(key)!] as const),
    ])
  const fedBy = (from: Leaf['from']): ReadonlyMap<string, string> =>
    new Map([...leaves].flatMap(([n, l]) => (l.from === from ? [[n, l.name]] : [])))
  const described = (t: OnnxTensor) => onnxValue(t.name, t.dtype, t.shape)
  return {
    model: {
      irVersion: 10,
      opsetImport: [
        { domain: '', version: opset },
        ...(mode === 'run' ? [{ domain: runtimeDomain, version: 1 }] : []),
      ],
      producerName: 'sailwright',
      graph: {
        name,
        ...e.collected(new Set([...[...sources.values()].map((s) => s.name), ...written.keys()])),
        input: tensors.inputs.map(described),
        output: tensors.outputs.map(described),
      },
    },
    inputs: fedBy('input'),
    states: fedBy('state'),
    fetches: [...fetched.keys()],
    tensors,
    outputs: new Map(outputs.map(([n, t]) => [n, { ...at(t), shape: sizes(whole.outputs[n]!.axes) }])),
    next: new Map(next.map(([key, t]) => [key, at(t)])),
    updates: updates.map((u) => ({
      ...u,
      gradient: at(u.gradient),
      factor: u.factor && at(u.factor),
      learningRate: at(u.learningRate),
      correction1: at(u.correction1),
      correction2: at(u.correction2),
    })),
    overwrites: parts.map((o) => ({ ...o, inputs: o.inputs.map(at) })),
    written,
    ...present({ rows }),
    ownerOf: e.ownerOf,
  }
}
