import * as fc from 'fast-check'
import { isLeft } from 'fp-ts/lib/Either.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { evaluate } from '../../src/dsl/evaluate.ts'
import { axis, input, scatterAdd } from '../../src/dsl/index.ts'
import { fixed, program } from '../../src/dsl/program.ts'
import { onnxEngine } from '../../src/engine/onnx/index.ts'
import type { Engine, TensorValue } from '../../src/engine/session.ts'
import { type Case, primitives } from '../support/primitives.ts'

/** The root by the engine. */
const computed = async (engine: Engine, c: Case, threads = 1): Promise<TensorValue> => {
  const opened = await engine.load(
    program({ name: 'one node', functions: { f: fixed(() => ({ outputs: { y: c.root } })) } }),
    { threads },
  )()
  if (isLeft(opened)) throw new Error(opened.left.message)
  const session = opened.right
  const got = await session.call('f', c.inputs)()
  await session.close()()
  if (isLeft(got)) throw new Error(got.left.message)
  return got.right.y!
}

/** |y − reference| against what float32 can hold, relative to the largest element. */
const agrees = (y: TensorValue, c: Case): boolean => {
  const [reference] = evaluate([c.root], {
    inputs: Object.fromEntries(Object.entries(c.inputs).map(([n, v]) => [n, v.data])),
  })
  const scale = reference!.reduce((m, x) => Math.max(m, Math.abs(x)), 1)
  const shape = c.root.axes.map((a) => a.size)
  return (
    y.dtype === c.root.dtype &&
    y.shape.join() === shape.join() &&
    y.data.length === reference!.length &&
    reference!.every((x, i) => Math.abs(x - y.data[i]!) <= (y.dtype === 'float32' ? 1e-5 * scale : 0))
  )
}

const operators = suite('onnx: each primitive against the reference evaluator')

for (const [op, cases] of Object.entries(primitives))
  operators(op, async () => {
    const engine = await onnxEngine()()
    if (isLeft(engine)) throw new Error(engine.left.message)
    await fc.assert(
      fc.asyncProperty(cases, async (c) => {
        assert.ok(agrees(await computed(engine.right, c), c))
      }),
      { numRuns: 60 },
    )
  })

operators('scatterAdd of many rows to few places loses none, with several threads', async () => {
  const engine = await onnxEngine()()
  if (isLeft(engine)) throw new Error(engine.left.message)
  const [row, many, width] = [axis('row', 3000), axis('many', 20000), axis('width', 32)]
  const index = Int32Array.from({ length: many.size }, (_, i) => (i * 7) % 3)
  const rows = Float32Array.from({ length: many.size * width.size }, (_, i) => 1 + (i % 5))
  const c: Case = {
    root: scatterAdd(input('index', [many], 'int32'), input('rows', [many, width]), row),
    inputs: {
      index: { shape: [many.size], dtype: 'int32', data: index },
      rows: { shape: [many.size, width.size], dtype: 'float32', data: rows },
    },
  }
  assert.ok(agrees(await computed(engine.right, c, 4), c))
})

operators.run()
