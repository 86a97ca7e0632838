/** How many nodes the onnx engine writes: what nothing reads costs time in every call. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  type Axis,
  attend,
  axis,
  contract,
  input,
  mul,
  type Results,
  type Tensor,
} from '../../src/dsl/index.ts'
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

const operationsOf = (build: () => Results): readonly string[] => {
  const p = optimiseProgram(program({ name: 'nodes', functions: { f: fixed(build) } }))
  return lower('f', p.functions.get('f')![0]!).model.graph.node.map((n) => n.opType)
}

test('attention: the scale is the product’s own, and heads move whole rows', () => {
  const [Token, Head, Dim] = [axis('token', 6), axis('head', 2), axis('dim', 4)]
  const of = (name: string, first: Axis): Tensor => input(name, [axis('row', 3), first, Head, Dim])
  const key = axis('key', 6)
  const operations = operationsOf(() => {
    const [q, k, v] = [of('q', Token), of('k', key), of('v', key)]
    return { outputs: { y: attend(q, k, v, 'dim') } }
  })
  assert.is(operations.filter((o) => o === 'Mul').length, 0)
  assert.is(operations.filter((o) => o === 'Transpose').length, 4)
  assert.ok(operations.includes('FusedMatMul'))
})

test('a product takes a number over from an operand only where the sum stays finite without it', () => {
  const [Row, Dim, Out] = [axis('row', 3), axis('dim', 4), axis('out', 2)]
  const scales = (by: number): number =>
    operationsOf(() => ({
      outputs: { y: contract(mul(input('x', [Row, Dim]), by), input('w', [Dim, Out]), 'dim') as Tensor },
    })).filter((o) => o === 'Mul').length
  assert.equal([0.25, -1000, 1e-30, 1e6, 0].map(scales), [0, 0, 1, 1, 1])
})

test('a product with a vector has no view around it', () => {
  const [Row, Token, Dim] = [axis('row', 3), axis('token', 5), axis('dim', 4)]
  const x = input('x', [Row, Token, Dim])
  assert.equal(
    operationsOf(() => ({ outputs: { y: contract(x, input('w', [Dim]), 'dim') as Tensor } })),
    ['MatMul'],
  )
})

test.run()
