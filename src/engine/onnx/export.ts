/** A function of a program as an ONNX file of its own: standard operations only, weights inside or in a file beside it. */
import { mkdir, open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { type Either, left, right } from 'fp-ts/lib/Either.js'
import { clampProgram, type Program } from '../../dsl/index.ts'
import { onlySettings, shownValue } from '../../settings/index.ts'
import { systemWords } from '../../terminal/index.ts'
import { type EngineError, engineError } from '../error.ts'
import {
  encodeModel,
  type ModelProto,
  onnxNode,
  onnxValue,
  type TensorProto,
  type ValueInfoProto,
} from '../proto/onnx.ts'
import type { TensorValue } from '../session.ts'
import { checkProgram, checkStates, functionOf } from '../values.ts'
import { lower, type Source } from './lower.ts'

/**
 * The bytes of an ONNX file (operator set 21) for one compiled size of a function.
 *
 * Inputs and outputs keep their names. A state that the function only reads is an initialiser under its key, with the value
 * given; one that it replaces is an input under its key and an output `next.<key>`.
 *
 * @param bucket which of the function's sizes, in the order in which they were declared
 * @param state values of the states, as a session's `read` gives them; states that the function does not read may be absent
 * @returns the file, or `UnknownFunction`, `NoVariant`, `UnknownState`, `BadInput`, or `Refused` over protobuf's 2 GB
 */
export const exportOnnx = (
  program: Program,
  name: string,
  bucket: number,
  state: ReadonlyMap<string, TensorValue>,
): Either<EngineError, Uint8Array> => {
  const made = exported(program, name, bucket, state, {})
  if (made._tag === 'Left') return made
  try {
    return right(encodeModel(made.right))
  } catch (e) {
    return left(engineError('Refused', `function '${name}' does not fit into one ONNX file: ${String(e)}`, e))
  }
}

/** How {@link writeOnnx} writes. */
export interface WriteOnnxOptions {
  /** What an input or an output is, by its name; the file keeps it. */
  readonly docs?: Readonly<Record<string, string>>
  /** Bytes of weights from which on they lie in a file of their own; default 1.5e9. One file cannot hold 2 GB. */
  readonly inside?: number
}

/**
 * Writes what {@link exportOnnx} gives as a file. Where the weights are many, they lie beside it in `<file>.data`, which
 * runtimes find by its name. The file with the graph appears last, by rename.
 *
 * @returns the paths that were written, or what {@link exportOnnx} refuses; `Failed` with what the file system says
 */
export const writeOnnx = (
  path: string,
  program: Program,
  name: string,
  bucket: number,
  state: ReadonlyMap<string, TensorValue>,
  options: WriteOnnxOptions = {},
) => {
  const { docs = {}, inside = 1.5e9 } = onlySettings('writeOnnx', options, ['docs', 'inside'])
  return async (): Promise<Either<EngineError, readonly string[]>> => {
    const made = exported(program, name, bucket, state, docs)
    if (made._tag === 'Left') return made
    try {
      await mkdir(dirname(path), { recursive: true })
      const weights = made.right.graph.initializer ?? []
      const bytes = weights.reduce((n, w) => n + (w.rawData?.length ?? 0), 0)
      const beside = bytes >= inside ? `${path}.data` : undefined
      const model = beside === undefined ? made.right : await withDataAt(beside, made.right)
      await replaced(path, [encodeModel(model)])
      return right(beside === undefined ? [path] : [path, beside])
    } catch (e) {
      const { code, syscall, message } = e as NodeJS.ErrnoException
      const why = systemWords(code, syscall) ?? message
      return left(engineError('Failed', `${path}: it cannot be written: ${why}`, e))
    }
  }
}

/** Constants of fewer bytes stay in the graph, where optimisers see them. */
const smallBytes = 1024
/** Where a weight may begin in a file beside: pages can be mapped into memory. */
const page = 4096

/** The model with its large weights written to a file beside it. */
const withDataAt = async (path: string, model: ModelProto): Promise<ModelProto> => {
  const pieces: Uint8Array[] = []
  let offset = 0
  const initializer = (model.graph.initializer ?? []).map((w): TensorProto => {
    const { rawData, ...head } = w
    if (rawData === undefined || rawData.length < smallBytes) return w
    const place = { location: basename(path), offset: String(offset), length: String(rawData.length) }
    const padding = (page - (rawData.length % page)) % page
    pieces.push(rawData, new Uint8Array(padding))
    offset += rawData.length + padding
    const externalData = Object.entries(place).map(([key, value]) => ({ key, value }))
    return { ...head, dataLocation: 1, externalData }
  })
  await replaced(path, pieces)
  return { ...model, graph: { ...model.graph, initializer } }
}

/** Writes pieces as a file that appears by rename. */
const replaced = async (path: string, pieces: readonly Uint8Array[]): Promise<void> => {
  const temporary = join(dirname(path), `${basename(path)}.${process.pid}.tmp`)
  try {
    const file = await open(temporary, 'w')
    try {
      for (const piece of pieces) await file.writeFile(piece)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (e) {
    await rm(temporary, { force: true })
    throw e
  }
}

/** One compiled size of a function as an ONNX model. */
const exported = (
  program: Program,
  name: string,
  bucket: number,
  state: ReadonlyMap<string, TensorValue>,
  docs: Readonly<Record<string, string>>,
): Either<EngineError, ModelProto> => {
  const is = checkProgram('an ONNX file', program)
  if (is._tag === 'Left') return is
  const found = functionOf(clampProgram(program), name)
  if (found._tag === 'Left') return found
  const variant = found.right[bucket]
  if (variant === undefined)
    return left(
      engineError(
        'NoVariant',
        `function '${name}' has ${found.right.length} compiled sizes, numbered from 0; there is no number ${shownValue(bucket)}`,
      ),
    )
  const checked = checkStates(program, state)
  if (checked._tag === 'Left') return checked
  const read = [...variant.states.keys()].filter((k) => !variant.next.has(k))
  const absent = read.filter((k) => !state.has(k))
  if (absent.length > 0)
    return left(
      engineError(
        'UnknownState',
        `function '${name}' reads state '${absent[0]}', of which no value was given (${absent.length} missing)`,
      ),
    )
  const lowered = lower(name, variant, {
    mode: 'export',
    weights: new Map(read.map((k) => [k, state.get(k)!.data])),
  })
  const { graph } = lowered.model
  const initializer = [...(graph.initializer ?? [])]
  const inputs = new Map([...lowered.inputs, ...lowered.states].map(([onnxName, n]) => [n, onnxName]))
  const node = [...graph.node]
  const output: ValueInfoProto[] = []
  const taken = new Set(node.flatMap((n) => n.output).concat([...inputs.values()]))
  // a result goes out under its own name: an Identity from whatever value it is
  const give = (wanted: string, s: Source): void => {
    let out = wanted
    for (let i = 1; taken.has(out); i++) out = `${wanted}.${i}`
    taken.add(out)
    const from = s.from === 'output' || s.from === 'constant' ? s.name : inputs.get(s.name)!
    node.push(onnxNode('Identity', [from], [out], {}, { name: `output ${out}` }))
    output.push(onnxValue(out, s.dtype, s.shape))
  }
  for (const [n, s] of lowered.outputs) give(n, s)
  for (const [key, s] of lowered.next) give(`next.${key}`, s)
  const told = (values: readonly ValueInfoProto[]): ValueInfoProto[] =>
    values.map((v) => (docs[v.name] === undefined ? v : { ...v, docString: docs[v.name]! }))
  const input = told(graph.input)
  return right({ ...lowered.model, graph: { ...graph, node, initializer, input, output: told(output) } })
}
