import * as fc from 'fast-check'
import { isLeft } from 'fp-ts/lib/Either.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { evaluate } from '../../src/dsl/evaluate.ts'
import { fixed, program } from '../../src/dsl/program.ts'
import type { Engine, TensorValue } from '../../src/engine/session.ts'
import { tensorflowEngine } from '../../src/engine/tensorflow/index.ts'
import { type Case, primitives } from '../support/primitives.ts'

const engine = await tensorflowEngine()()

/** The root by the engine. */
const computed = async (e: Engine, c: Case): Promise<TensorValue> => {
  const opened = await e.load(
    program({ name: 'one node', functions: { f: fixed(() => ({ outputs: { y: c.root } })) } }),
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

const operators = suite('tensorflow: each primitive against the reference evaluator')

if (isLeft(engine)) console.log(`skipped: ${engine.left.message}`)
else
  for (const [op, cases] of Object.entries(primitives))
    operators(op, async () => {
      await fc.assert(
        fc.asyncProperty(cases, async (c) => {
          assert.ok(agrees(await computed(engine.right, c), c))
        }),
        { numRuns: 12 },
      )
    })

operators.run()
