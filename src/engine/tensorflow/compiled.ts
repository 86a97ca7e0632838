/**
 * One variant as a function that XLA compiles: it reads the variables that it needs, runs one module of StableHLO, which is
 * the xla engine's own, and puts what comes out into the variables. The node that calls it says that it must be compiled,
 * so TensorFlow makes a launch of it for its one set of shapes, and never runs it node by node.
 */
import { sizes, type Tensor, type Variant } from '../../dsl/index.ts'
import { attr, type FunctionDef, type NodeDef, type TfType, tfShape, tfType } from '../proto/tensorflow.ts'
import type { Precision } from '../session.ts'
import { type Argument, lower } from '../xla/lower.ts'
import type { Builder, Ref } from './builder.ts'
import type { Handles, LoweredVariant } from './lower.ts'

/** How a program is compiled. */
export interface Compilation {
  readonly precision: Precision
  /** What it is compiled for. */
  readonly platform: 'cpu' | 'cuda'
}

/** A variant in the graph, and the function that it calls. */
export interface CompiledVariant extends LoweredVariant {
  readonly definition: FunctionDef
  /** The user's node that the compiler's words are about, if they name one. */
  readonly blamedIn: (message: string) => Tensor | undefined
}

/** The first version of `XlaCallModule` that reads this text; TensorFlow has it since 2.13. */
const moduleVersion = 5

const utf8 = new TextEncoder()

/** Lowers one variant under the scope `name` (`step.0`); `index` tells its function from those of the others. */
export const lowerCompiled = (
  g: Builder,
  name: string,
  index: number,
  variant: Variant,
  handles: Handles,
  { precision, platform }: Compilation,
): CompiledVariant => {
  g.scope(name)
  const lowered = lower(name, variant, { precision, platform })
  const dtypeOf = (a: Argument): TfType =>
    (a.from === 'input' ? variant.inputs.get(a.name) : variant.states.get(a.key))!.dtype
  const results = [
    ...lowered.outputs.map((o) => variant.outputs[o]!),
    ...lowered.next.map((k) => variant.next.get(k)!),
  ]
  const types = results.map((t) => t.dtype)
  const read = lowered.arguments.flatMap((a) => (a.from === 'state' ? [a.key] : []))
  const keys = [...new Set([...read, ...lowered.next])]
  const fed = lowered.arguments.flatMap((a) => (a.from === 'input' ? [a.name] : []))
  const place = new Map([...keys.map((k, i) => [k, `s${i}`] as const)])

  const nodes: NodeDef[] = []
  const operands = lowered.arguments.map((a) => {
    if (a.from === 'input') return `i${fed.indexOf(a.name)}`
    const variable = place.get(a.key)!
    nodes.push({
      ...{ name: `read_${variable}`, op: 'ReadVariableOp', input: [variable] },
      attr: { dtype: attr.type(dtypeOf(a)) },
    })
    return `read_${variable}:value:0`
  })
  nodes.push({
    ...{ name: 'module', op: 'XlaCallModule', input: operands },
    attr: {
      version: attr.int(moduleVersion),
      module: attr.string(lowered.text),
      Tin: attr.types(lowered.arguments.map(dtypeOf)),
      Tout: attr.types(types),
      Sout: { list: { shape: results.map((t) => tfShape(sizes(t.axes))) } },
      platforms: { list: { s: [utf8.encode(platform.toUpperCase())] } },
    },
  })
  const assigned = lowered.next.map((key, i) => {
    const node = `assign_${place.get(key)!}`
    const at = lowered.outputs.length + i
    nodes.push({
      ...{ name: node, op: 'AssignVariableOp', input: [place.get(key)!, `module:output:${at}`] },
      attr: { dtype: attr.type(types[at]!) },
    })
    return node
  })
  const inputs = new Map(
    fed.map((input): [string, Ref] => {
      const t = variant.inputs.get(input)!
      const attrs = { dtype: attr.type(t.dtype), shape: attr.shape(sizes(t.axes)) }
      const placeholder = g.op('Placeholder', [], attrs, `input/${input}`)
      return [input, { name: placeholder, dtype: t.dtype, shape: sizes(t.axes) }]
    }),
  )
  const called = `compiled_${index}`
  const given = types.slice(0, lowered.outputs.length)
  const definition: FunctionDef = {
    signature: {
      name: called,
      inputArg: [
        ...[...inputs.values()].map((r, i) => ({ name: `i${i}`, type: tfType[r.dtype] })),
        ...keys.map((_, i) => ({ name: `s${i}`, type: tfType.resource })),
      ],
      outputArg: given.map((type, i) => ({ name: `o${i}`, type: tfType[type] })),
      isStateful: true,
      controlOutput: assigned,
    },
    nodeDef: nodes,
    ret: Object.fromEntries(given.map((_, i) => [`o${i}`, `module:output:${i}`])),
    attr: { _XlaMustCompile: attr.bool(true), _noinline: attr.bool(true) },
    controlRet: Object.fromEntries(assigned.map((node) => [node, node])),
  }
  const variables = keys.map((k) => handles.get(k)!)
  const call = g.op(
    'StatefulPartitionedCall',
    [...[...inputs.values()].map((r) => r.name), ...variables],
    {
      Tin: attr.types([...[...inputs.values()].map((r) => r.dtype), ...keys.map(() => 'resource' as const)]),
      Tout: attr.types(given),
      f: attr.func(called),
      ...{ config: attr.string(''), config_proto: attr.string(''), executor_type: attr.string('') },
      ...{ _XlaMustCompile: attr.bool(true), _noinline: attr.bool(true) },
    },
    'compiled',
  )
  const outputs = new Map(
    lowered.outputs.map((o, i): [string, Ref] => {
      const { dtype, axes } = results[i]!
      const from = i === 0 ? call : `${call}:${i}`
      const fetched = g.op('Identity', [from], { T: attr.type(given[i]!) }, `output/${o}`)
      return [o, { name: fetched, dtype, shape: sizes(axes) }]
    }),
  )
  const { blamedIn } = lowered
  if (assigned.length === 0) return { inputs, outputs, done: undefined, inPlace: [], definition, blamedIn }
  const done = g.op('Identity', [g.int(0)], { T: attr.type('int32') }, 'done')
  g.after(done, call)
  return {
    ...{ inputs, outputs, inPlace: [], definition, blamedIn },
    done: { name: done, dtype: 'int32', shape: [] },
  }
}
