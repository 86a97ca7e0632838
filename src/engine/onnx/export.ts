/** A function of a program as an ONNX file of its own: standard operations only, weights inside. */
import { type Either, left, right } from 'fp-ts/lib/Either.js'
import { clampProgram, type Program } from '../../dsl/index.ts'
import { type EngineError, engineError } from '../error.ts'
import { encodeModel, onnxNode, onnxValue, type ValueInfoProto } from '../proto/onnx.ts'
import type { TensorValue } from '../session.ts'
import { checkStates, functionOf } from '../values.ts'
import { onnxTypeOf } from './emitter.ts'
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
  const found = functionOf(clampProgram(program), name)
  if (found._tag === 'Left') return found
  const variant = found.right[bucket]
  if (variant === undefined)
    return left(
      engineError(
        'NoVariant',
        `function '${name}' has ${found.right.length} compiled sizes; there is no number ${bucket}`,
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
  const lowered = lower(name, variant, 'export', new Map(read.map((k) => [k, state.get(k)!.data])))
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
    output.push(onnxValue(out, onnxTypeOf(s.dtype), s.shape))
  }
  for (const [n, s] of lowered.outputs) give(n, s)
  for (const [key, s] of lowered.next) give(`next.${key}`, s)
  try {
    return right(encodeModel({ ...lowered.model, graph: { ...graph, node, initializer, output } }))
  } catch (e) {
    return left(engineError('Refused', `function '${name}' does not fit into one ONNX file: ${String(e)}`, e))
  }
}
