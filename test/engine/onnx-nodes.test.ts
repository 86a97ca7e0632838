/** How many nodes the onnx engine writes: what nothing reads costs time in every call. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { optimiseProgram } from '../../src/dsl/passes/index.ts'
import { fixed, program } from '../../src/dsl/program.ts'
import { lower } from '../../src/engine/onnx/lower.ts'
import { extend } from '../../src/models/generate.ts'
import { tinyModel } from '../support/tiny.ts'

const test = suite('onnx: nodes')

test('generation: no node that nothing reads, and products without reshapes around them', () => {
  const sizes = { rows: 3, prompt: 6, capacity: 9 }
  const functions = { extend: fixed(() => extend(tinyModel, sizes, 2)) }
  const [variant] = optimiseProgram(program({ name: 'nodes', functions })).functions.get('extend')!
  const { graph } = lower('extend', variant!).model
  const read = new Set([...graph.node.flatMap((n) => n.input), ...graph.output.map((o) => o.name)])
  const unread = graph.node.filter((n) => !n.output.some((name) => read.has(name)))
  assert.equal(
    unread.map((n) => n.name),
    [],
  )
  const makers = new Map(graph.node.flatMap((n) => n.output.map((o) => [o, n] as const)))
  const gate = graph.node.find((n) => n.input[1]?.endsWith('mlp.gate_proj.weight'))!
  assert.is(makers.get(gate.input[0]!)!.opType, 'SimplifiedLayerNormalization')
  assert.is(graph.node.find((n) => n.input.includes(gate.output[0]!))!.opType, 'QuickGelu')
})

test.run()
