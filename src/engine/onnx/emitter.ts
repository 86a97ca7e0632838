/**
 * Where ONNX nodes are collected. Values are named; a node that was emitted before is not emitted again, constants are
 * kept once, and reshapes of reshapes go back to what was there first.
 */
import { createHash } from 'node:crypto'
import type { Tensor } from '../../dsl/index.ts'
import { present } from '../../settings/internal.ts'
import { bytesOf } from '../proto/descriptor.ts'
import {
  type AttributeValue,
  type NodeProto,
  type OnnxType,
  onnxNode,
  onnxTensor,
  type TensorProto,
} from '../proto/onnx.ts'
import { sameShape } from '../values.ts'

/**
 * `run`: for the engine on the CPU, with operations of its own. `export`: a file of standard operations only. `webgpu`: for
 * the engine on a GPU, of operations that are computed there.
 */
export type Mode = 'run' | 'export' | 'webgpu'

/** The domain of the runtime's own operations. */
export const runtimeDomain = 'com.microsoft'

/** What an emitted node may be told beyond its inputs and attributes. */
export interface NodeOptions {
  readonly domain?: string
  /** How many outputs are named; default 1. */
  readonly outputs?: number
  /** Whether a node may stand for others of the same inputs and attributes; default true. */
  readonly once?: boolean
}

/** Collects one graph. */
export interface Emitter {
  readonly mode: Mode
  /** A name for an input, an output or a node that no other has. */
  readonly unique: (wanted: string) => string
  /** An initialiser; equal ones are one. */
  readonly constant: (type: OnnxType, dims: readonly number[], data: ArrayBufferView) => string
  /** A weight: an initialiser under a name of its own, equal to another or not. */
  readonly weight: (name: string, type: OnnxType, dims: readonly number[], data: ArrayBufferView) => string
  /** An int64 vector: axes, shapes, starts. */
  readonly ints: (values: readonly number[]) => string
  /** A float32 of rank 0. */
  readonly float: (value: number) => string
  /** A node; its first output's name. */
  readonly node: (
    opType: string,
    inputs: readonly string[],
    attributes?: Readonly<Record<string, AttributeValue>>,
    options?: NodeOptions,
  ) => string
  /** A node; all its outputs' names. */
  readonly nodes: (
    opType: string,
    inputs: readonly string[],
    attributes?: Readonly<Record<string, AttributeValue>>,
    options?: NodeOptions,
  ) => readonly string[]
  /** The value under other dimensions (no node where they are equal, none on constants). */
  readonly reshape: (name: string, from: readonly number[], to: readonly number[]) => string
  /** The value with dimension `perm[i]` in place i (a reshape where only dimensions of size 1 move). */
  readonly transpose: (name: string, dims: readonly number[], perm: readonly number[]) => string
  /** Says for which graph node the next ONNX nodes stand. */
  readonly owner: (t: Tensor) => void
  /** The graph node behind an ONNX node's name. */
  readonly ownerOf: (nodeName: string) => Tensor | undefined
  /** The nodes and initialisers of which these values are made, in the order in which they were emitted. */
  readonly collected: (wanted: ReadonlySet<string>) => {
    readonly node: NodeProto[]
    readonly initializer: TensorProto[]
  }
  /** An empty graph inside a node of this one: it may read the values of this one, and no name is in both. */
  readonly nested: () => Emitter
  /** The constant behind a name, if it is one. */
  readonly constantOf: (name: string) => Constant | undefined
}

/** An initialiser as it was given. */
export interface Constant {
  readonly type: OnnxType
  readonly dims: readonly number[]
  readonly data: ArrayBufferView
}

/** What the graphs inside a node read. */
export const readInside = (n: NodeProto): readonly string[] =>
  (n.attribute ?? []).flatMap((a) =>
    a.g === undefined ? [] : [...a.g.node.flatMap(readBy), ...a.g.output.map((o) => o.name)],
  )

/** What a node reads, the nodes of graphs inside it included. */
const readBy = (n: NodeProto): readonly string[] => [...n.input, ...readInside(n)]

/** The names that are taken, and the number that the next of a name may get: those below are taken. */
interface Names {
  readonly taken: Set<string>
  readonly tried: Map<string, number>
}

/** An empty graph. */
export const emitter = (mode: Mode): Emitter => within(mode, { taken: new Set(), tried: new Map() })

const within = (mode: Mode, names: Names): Emitter => {
  const node: NodeProto[] = []
  const constants = new Map<string, Constant>()
  const weights = new Map<string, Constant>()
  const constantNames = new Map<string, string>()
  const memo = new Map<string, readonly string[]>()
  const source = new Map<string, { readonly name: string; readonly dims: readonly number[] }>()
  const owners = new Map<string, Tensor>()
  const { taken, tried } = names
  let current: Tensor | undefined
  let count = 0

  const unique = (wanted: string): string => {
    let name = wanted
    let i = tried.get(wanted) ?? 1
    for (; taken.has(name); i++) name = `${wanted}.${i}`
    tried.set(wanted, i)
    taken.add(name)
    return name
  }

  const constant: Emitter['constant'] = (type, dims, data) => {
    const hash = createHash('sha1').update(bytesOf(data)).digest('base64')
    const key = `${type} ${dims.join()} ${hash}`
    const had = constantNames.get(key)
    if (had !== undefined) return had
    const name = unique(`constant_${constantNames.size}`)
    constantNames.set(key, name)
    constants.set(name, { type, dims, data })
    return name
  }
  const weight: Emitter['weight'] = (name, type, dims, data) => {
    const own = unique(name)
    weights.set(own, { type, dims, data })
    return own
  }
  const ints: Emitter['ints'] = (values) =>
    constant(
      'int64',
      [values.length],
      BigInt64Array.from(values, (v) => BigInt(v)),
    )
  const float: Emitter['float'] = (value) => constant('float32', [], Float32Array.of(value))

  const nodes: Emitter['nodes'] = (opType, inputs, attributes = {}, options = {}) => {
    const { domain, outputs = 1, once = true } = options
    const key = once ? JSON.stringify([opType, domain, inputs, attributes, outputs]) : ''
    const had = once ? memo.get(key) : undefined
    if (had !== undefined) return had
    const name = unique(`${opType}_${count++}`)
    const names = Array.from({ length: outputs }, (_, i) => (i === 0 ? name : unique(`${name}.${i}`)))
    node.push(onnxNode(opType, inputs, names, attributes, { name, ...present({ domain }) }))
    if (current !== undefined) owners.set(name, current)
    if (once) memo.set(key, names)
    return names
  }
  const one: Emitter['node'] = (...args) => nodes(...args)[0]!

  const reshape: Emitter['reshape'] = (name, from, to) => {
    if (sameShape(from, to)) return name
    const data = constants.get(name)
    if (data !== undefined) return constant(data.type, to, data.data)
    const first = source.get(name) ?? { name, dims: from }
    if (sameShape(first.dims, to)) return first.name
    const out = one('Reshape', [first.name, ints(to)])
    source.set(out, first)
    return out
  }

  const transpose: Emitter['transpose'] = (name, dims, perm) => {
    const moved = perm.filter((p) => dims[p] !== 1)
    const to = perm.map((p) => dims[p]!)
    return moved.every((p, i) => i === 0 || p > moved[i - 1]!)
      ? reshape(name, dims, to)
      : one('Transpose', [name], { perm })
  }

  return {
    mode,
    unique,
    constant,
    weight,
    ints,
    float,
    node: one,
    nodes,
    reshape,
    transpose,
    owner: (t) => {
      current = t
    },
    ownerOf: (name) => owners.get(name),
    collected: (wanted) => {
      // the runtime computes a node that nothing reads: a reshape whose only use went on to what was there before it
      const read = new Set(wanted)
      const live: NodeProto[] = []
      for (const n of node.toReversed())
        if (n.output.some((name) => read.has(name))) {
          live.push(n)
          for (const name of readBy(n)) read.add(name)
        }
      return {
        node: live.reverse(),
        initializer: [...weights, ...constants]
          .filter(([name]) => read.has(name))
          .map(([name, c]) => onnxTensor(name, c.type, c.dims, c.data)),
      }
    },
    nested: () => within(mode, names),
    constantOf: (name) => constants.get(name) ?? weights.get(name),
  }
}
