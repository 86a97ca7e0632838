/** A loop as ONNX's `Loop`: its body is a graph inside the node, which reads what is captured by its name outside. */
import { bodyRoots, type LoopBody, sizes, type Tensor, topological } from '../../dsl/index.ts'
import { type Loops, loopsOnce } from '../lowering.ts'
import { type GraphProto, onnxValue } from '../proto/onnx.ts'
import type { Emitter } from './emitter.ts'
import { planner } from './plan.ts'

/** The loops of one graph; the nodes of one loop are one ONNX node. */
export const loopsIn = (e: Emitter): Loops<string> =>
  loopsOnce(
    (name) => name,
    ({ times, body }, inputs) => emitLoop(times, body, inputs, e),
  )

const emitLoop = (
  times: number,
  body: LoopBody,
  inputs: readonly string[],
  e: Emitter,
): readonly string[] => {
  const count = body.results.length
  const most = e.constant('int64', [], BigInt64Array.of(BigInt(times)))
  const go = e.constant('bool', [], Uint8Array.of(1))
  const graph = bodyGraph(body, inputs.slice(count), e.nested())
  return e.nodes(
    'Loop',
    [most, go, ...inputs.slice(0, count)],
    { body: { graph } },
    { outputs: count, once: false },
  )
}

/** @param captured what the arguments after the carried ones are called outside */
const bodyGraph = (body: LoopBody, captured: readonly string[], e: Emitter): GraphProto => {
  const count = body.results.length
  const iteration = e.unique('iteration')
  const before = e.unique('condition')
  const carried = body.results.map((_, i) => e.unique(`carried_${i}`))
  const counter = e.node('Cast', [iteration], { to: 6 })
  const given = [counter, ...carried, ...captured]
  const roots = bodyRoots(body)
  const names = new Map<Tensor, string>()
  const nameOf = (t: Tensor): string => names.get(t)!
  const plan = planner(roots, e.mode)
  const loop = loopsIn(e)
  for (const t of topological(roots, (x) => plan(x).uses)) {
    e.owner(t)
    names.set(
      t,
      t.op.op === 'argument'
        ? given[t.op.at]!
        : t.op.op === 'loop'
          ? loop(t, t.inputs.map(nameOf))
          : plan(t).emit(e, nameOf),
    )
  }
  // a result is a value of the graph itself, each its own
  const own = (name: string): string => e.nodes('Identity', [name], {}, { once: false })[0]!
  const results = body.results.map((t) => own(nameOf(t)))
  const after = body.done === undefined ? own(before) : e.node('Not', [nameOf(body.done)])
  const outputs = [after, ...results]
  const { node, initializer } = e.collected(new Set(outputs))
  return {
    name: 'body',
    node,
    initializer,
    input: [
      onnxValue(iteration, 'int64', []),
      onnxValue(before, 'bool', []),
      ...carried.map((n, i) => describe(n, body.results[i]!)),
    ],
    output: [
      onnxValue(after, 'bool', []),
      ...results.slice(0, count).map((n, i) => describe(n, body.results[i]!)),
    ],
  }
}

const describe = (name: string, t: Tensor) => onnxValue(name, t.dtype, sizes(t.axes))
