/**
 * A program as a SavedModel: variables, every variant of every function over them, and a signature for each way in.
 *
 * @since 0.1.0
 */
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  clampProgram,
  type Data,
  type Dtype,
  elements,
  type Program,
  showAxes,
  sizes,
  type Tensor,
  type Variant,
} from '../../dsl/index.ts'
import { arrayOf } from '../../dsl/internal.ts'
import {
  attr,
  encodeSavedModel,
  type FunctionDef,
  type SavedModel,
  type SignatureDef,
  tensorInfo,
} from '../proto/tensorflow.ts'
import { checkProgram, holds, repeated } from '../values.ts'
import { type Builder, builder, type Ref } from './builder.ts'
import { type Compilation, type CompiledVariant, lowerCompiled } from './compiled.ts'
import { type Handles, type LoweredVariant, lowerVariant } from './lower.ts'

/** A program's graph and the ways into it. */
export interface LoweredProgram {
  readonly builder: Builder
  readonly handles: Handles
  /** Function → its variants, in the order of their buckets. */
  readonly functions: ReadonlyMap<string, readonly LoweredVariant[]>
  /** State → the tensor that holds its value now. */
  readonly reads: ReadonlyMap<string, Ref>
  /** State → a placeholder, and a tensor that is there once the state has the placeholder's value. */
  readonly writes: ReadonlyMap<string, { readonly value: Ref; readonly done: Ref }>
  /** The node whose running gives every state of one repeated number that number. */
  readonly init: string
  /** The states that `init` leaves alone: they are filled from a seed. */
  readonly seeded: readonly string[]
  /** The user's node that a TensorFlow node stands for. */
  readonly ownerOf: (node: string) => Tensor | undefined
  /** Function → its variants as they are compiled; none where the graph runs node by node. */
  readonly compiled: ReadonlyMap<string, readonly CompiledVariant[]>
}

const variable = (g: Builder, key: string, dtype: Dtype, shape: readonly number[]): string => {
  const attrs = { dtype: attr.type(dtype), shape: attr.shape(shape), shared_name: attr.string(key) }
  return g.op('VarHandleOp', [], attrs, `state/${key}`)
}

/** Lowers a whole program; the variants are named `step.0`, `step.1`, …. XLA compiles them where it is told how. */
export const lowerProgram = (program: Program, compilation?: Compilation): LoweredProgram => {
  const g = builder()
  const handles = new Map<string, string>()
  const reads = new Map<string, Ref>()
  const writes = new Map<string, { value: Ref; done: Ref }>()
  const seeded: string[] = []
  const init = g.op('NoOp', [], {}, 'init')
  for (const spec of program.states.values()) {
    const { key, axes, dtype } = spec
    const shape = sizes(axes)
    const type = attr.type(dtype)
    const handle = variable(g, key, dtype, shape)
    handles.set(key, handle)
    reads.set(key, { name: g.op('ReadVariableOp', [handle], { dtype: type }, `read/${key}`), dtype, shape })
    const value = g.op('Placeholder', [], { dtype: type, shape: attr.shape(shape) }, `write/${key}`)
    // a copy, because the variable must not keep the caller's own memory
    const copy = g.op('DeepCopy', [value], { T: type }, `copy/${key}`)
    const assign = g.op('AssignVariableOp', [handle, copy], { dtype: type }, `assign/${key}`)
    const done = g.op('Identity', [g.int(0)], { T: attr.type('int32') }, `written/${key}`)
    g.after(done, assign)
    writes.set(key, { value: { name: value, dtype, shape }, done: { name: done, dtype: 'int32', shape: [] } })
  }
  let count = 0
  const lowered = <A>(one: (scope: string, v: Variant) => A): ReadonlyMap<string, readonly A[]> =>
    new Map(
      [...program.functions].map(([name, variants]) => [
        name,
        variants.map((v, i) => one(`${name}.${i}`, v)),
      ]),
    )
  const compiled: LoweredProgram['compiled'] =
    compilation === undefined
      ? new Map()
      : lowered((scope, v) => lowerCompiled(g, scope, count++, v, handles, compilation))
  const functions: LoweredProgram['functions'] =
    compilation === undefined ? lowered((scope, v) => lowerVariant(g, scope, v, handles)) : compiled
  g.scope('')
  const changed = new Set([...functions.values()].flatMap((vs) => vs.flatMap((v) => v.inPlace)))
  for (const spec of program.states.values()) {
    const { key, axes, dtype } = spec
    const fresh = repeated(spec)
    if (fresh === undefined) {
      seeded.push(key)
      continue
    }
    const type = attr.type(dtype)
    const filled = g.op('Fill', [g.ints(sizes(axes)), g.constant(dtype, [], arrayOf[dtype].of(fresh)).name], {
      T: type,
      index_type: attr.type('int32'),
    })
    // two of one shape may be one node, and one memory, to TensorFlow
    const own = changed.has(key) ? g.op('DeepCopy', [filled], { T: type }) : filled
    g.after(init, g.op('AssignVariableOp', [handles.get(key)!, own], { dtype: type }, `init/${key}`))
  }
  return { builder: g, handles, init, seeded, functions, reads, writes, ownerOf: g.ownerOf, compiled }
}

const info = (r: Ref) => tensorInfo(r.name.includes(':') ? r.name : `${r.name}:0`, r.dtype, r.shape)

/** A signature from what is fed and what is fetched, by name. */
export const signature = (
  inputs: Iterable<readonly [string, Ref]>,
  outputs: Iterable<readonly [string, Ref]>,
): SignatureDef => ({
  inputs: Object.fromEntries([...inputs].map(([n, r]) => [n, info(r)])),
  outputs: Object.fromEntries([...outputs].map(([n, r]) => [n, info(r)])),
  methodName: 'tensorflow/serving/predict',
})

/** The name under which a call's effects are fetched; no output of a function is called so. */
export const doneName = ' done'

/** The signature of one variant. */
const variantSignature = (v: LoweredVariant): SignatureDef =>
  signature(v.inputs, [...v.outputs, ...(v.done === undefined ? [] : [[doneName, v.done] as const])])

/** Signatures with the initialiser that a loader runs. */
export const withInit = (
  init: string,
  signatures: Readonly<Record<string, SignatureDef>>,
): Readonly<Record<string, SignatureDef>> => ({
  __saved_model_init_op: {
    inputs: {},
    outputs: { __saved_model_init_op: { name: init, dtype: 0, tensorShape: { unknownRank: true } } },
    methodName: '',
  },
  ...signatures,
})

/** The tag under which the graph is found. */
export const tag = 'serve'

/** A SavedModel around nodes and signatures. The graph is written for TensorFlow 2.9 and later. */
export const savedModel = (
  nodes: SavedModel['metaGraphs'][number]['graphDef']['node'],
  signatures: Readonly<Record<string, SignatureDef>>,
  library: readonly FunctionDef[] = [],
): SavedModel => ({
  savedModelSchemaVersion: 1,
  metaGraphs: [
    {
      metaInfoDef: { tags: [tag], tensorflowVersion: '2.9.1' },
      graphDef: {
        node: nodes,
        versions: { producer: 1087, minConsumer: 12 },
        ...(library.length === 0 ? {} : { library: { function: [...library] } }),
      },
      signatureDef: { ...signatures },
    },
  ],
})

/** Initial values by key, row-major. */
export type StateData = ReadonlyMap<string, Data>

/**
 * Writes a program as a SavedModel folder that any TensorFlow loads: a signature a variant (`step.0`), one that gives the
 * states by key (`read`), one that takes them (`write`), and the states' values as constants that the folder's own
 * initialiser assigns.
 *
 * @param values the states' values; a state without one must be assigned by whoever loads the folder
 * @throws RangeError where the program is none, a value is not of its state's dtype and size, and where graph and values are over protobuf's 2 GB
 * @category export
 */
export const writeSavedModel = async (program: Program, values: StateData, folder: string): Promise<void> => {
  const is = checkProgram('writeSavedModel', program)
  if (is._tag === 'Left') throw new RangeError(is.left.message)
  const lowered = lowerProgram(clampProgram(program))
  const g = lowered.builder
  const init = g.op('NoOp', [], {}, 'restore')
  for (const [key, data] of values) {
    const spec = program.states.get(key)
    if (spec === undefined) continue
    if (!holds(spec.dtype, data) || data.length !== elements(spec.axes))
      throw new RangeError(
        `writeSavedModel: state '${key}' is ${spec.dtype} of ${showAxes(spec.axes)}; a ${data.constructor.name} of ${data.length} was given`,
      )
    const initial = g.constant(spec.dtype, sizes(spec.axes), data)
    const type = attr.type(spec.dtype)
    // a copy, because states may change where they lie and constants may not
    const copy = g.op('DeepCopy', [initial.name], { T: type })
    const assign = g.op('AssignVariableOp', [lowered.handles.get(key)!, copy], { dtype: type })
    g.after(init, assign)
  }
  const signatures: Record<string, SignatureDef> = {}
  for (const [name, variants] of lowered.functions)
    variants.forEach((v, i) => {
      signatures[`${name}.${i}`] = variantSignature(v)
    })
  signatures.read = signature([], lowered.reads)
  signatures.write = signature(
    [...lowered.writes].map(([key, w]) => [key, w.value]),
    [...lowered.writes].map(([key, w]) => [key, w.done]),
  )
  await mkdir(folder, { recursive: true })
  const file = join(folder, 'saved_model.pb')
  await writeFile(`${file}.tmp`, encodeSavedModel(savedModel([...g.nodes()], withInit(init, signatures))))
  await rename(`${file}.tmp`, file)
}
