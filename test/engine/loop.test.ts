/** Loops on each engine: what goes around, what stays, what ends them; in a thread, and in an exported file. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  add,
  axis,
  broadcast,
  cast,
  concat,
  evaluate,
  fixed,
  greater,
  input,
  loop,
  mul,
  program,
  type Scalar,
  scalar,
  state,
  sub,
  type Tensor,
  total,
  zeros,
} from '../../src/dsl/index.ts'
import { inWorker } from '../../src/engine/index.ts'
import { exportOnnx } from '../../src/engine/onnx/index.ts'
import { loadOnnxRuntime } from '../../src/engine/onnx/runtime.ts'
import { tensorValue } from '../../src/engine/values.ts'
import { orThrow } from '../../src/train/task.ts'
import { presentEngines } from '../support/engines.ts'
import { onEngine } from '../support/on-engine.ts'
import { decodeModel } from '../support/protobuf.ts'

const test = suite('engines: loops')
const engines = await presentEngines()
const row = axis('row', 3)
const x: Tensor = input('x', [row])
const given = { x: [1, 2, 3] }

/** On each engine. */
const gives = async (roots: readonly Tensor[], want: readonly (readonly number[])[]): Promise<void> => {
  for (const engine of engines) assert.equal(await onEngine(engine, roots, given), want, engine.name)
}

test('what is carried may be swapped, stay, be a literal, or come from outside', async () => {
  const { a, b, c, d } = loop({
    times: 3,
    carried: { a: x, b: mul(x, 10) as Tensor, c: scalar(5) as Tensor, d: x },
    step: ({ a, b }) => ({ next: { a: b, b: a, c: scalar(7), d: x } }),
  })
  await gives([a, b, c, d], [[10, 20, 30], [1, 2, 3], [7], [1, 2, 3]])
})

test('what nothing changes ends all the same', async () => {
  const { y } = loop({ times: 4, carried: { y: x }, step: ({ y }) => ({ next: { y } }) })
  await gives([y], [[1, 2, 3]])
})

test('a step that is done is the last; none at all leaves the beginning', async () => {
  const of = (times: number): readonly Tensor[] => {
    const { y, n } = loop({
      times,
      carried: { y: x, n: scalar(0, 'int32') as Tensor },
      step: ({ y, n }, i) => ({
        next: { y: add(y, x), n: add(n, add(i, 1)) },
        done: greater(total(y), 15) as Scalar,
      }),
    })
    return [y, n]
  }
  await gives(of(0), [[1, 2, 3], [0]])
  await gives(of(2), [[3, 6, 9], [3]])
  // the third step reads a sum of 18
  await gives(of(20), [[4, 8, 12], [6]])
})

test('two loops of one body, and a loop in a loop that reads what is outside of both', async () => {
  const triple = (from: Tensor): Tensor =>
    loop({ times: 2, carried: { y: from }, step: ({ y }) => ({ next: { y: mul(y, 3) } }) }).y
  const inner = (from: Tensor, i: Tensor): Tensor =>
    loop({
      times: 2,
      carried: { z: from },
      step: ({ z }) => ({ next: { z: add(add(z, x), cast(i, 'float32')) } }),
    }).z
  const { y } = loop({ times: 3, carried: { y: x }, step: ({ y }, i) => ({ next: { y: inner(y, i) } }) })
  await gives(
    [triple(x), triple(mul(x, 2)), y],
    [
      [9, 18, 27],
      [18, 36, 54],
      [13, 20, 27],
    ],
  )
})

test('what joins values of a loop and of the one around it is made in the inner one', async () => {
  const { y } = loop({
    times: 2,
    carried: { y: x },
    step: ({ y }) => ({
      next: {
        y: loop({
          times: 2,
          carried: { z: y },
          step: ({ z }) => ({ next: { z: add(z, total(concat([z, y], 'row'))) } }),
        }).z,
      },
    }),
  })
  await gives([y], [Array.from(evaluate([y], { inputs: given })[0]!)])
})

const counting = () =>
  program({
    name: 'counting',
    functions: {
      f: fixed(() => {
        const kept: Tensor = state('kept', [row], zeros)
        const { y } = loop({
          times: 2,
          carried: { y: kept },
          step: ({ y }) => ({ next: { y: sub(add(y, x), broadcast(scalar(1), [row])) } }),
        })
        return { outputs: { y }, next: new Map([['kept', y]]) }
      }),
    },
  })

test('in a thread, from one call to the next through a state', async () => {
  for (const engine of engines) {
    const session = await orThrow(inWorker(engine).load(counting()))
    const fed = { x: tensorValue('float32', [3], given.x) }
    await orThrow(session.call('f', fed))
    const { y } = await orThrow(session.call('f', fed))
    assert.equal([...y!.data], [0, 4, 8], engine.name)
    await orThrow(session.close())
  }
})

test('an exported file has the loop as a standard operation, and runs', async () => {
  const p = counting()
  const kept = tensorValue('float32', [3], [10, 10, 10])
  const made = exportOnnx(p, 'f', 0, new Map([['kept', kept]]))
  if (made._tag === 'Left') throw new Error(made.left.message)
  const { graph } = decodeModel(made.right)
  assert.ok(graph.node.some((n) => n.opType === 'Loop' && !n.domain))
  const runtime = loadOnnxRuntime()
  if (runtime._tag === 'Left') throw new Error(runtime.left.message)
  const { InferenceSession, Tensor } = runtime.right.ort
  const session = await InferenceSession.create(made.right)
  const out = await session.run({
    x: new Tensor('float32', Float32Array.from(given.x), [3]),
    kept: new Tensor('float32', Float32Array.of(10, 10, 10), [3]),
  })
  assert.equal([...(out.y!.data as Float32Array)], [10, 12, 14])
  await session.release()
})

test('a loop of several results is one operation', () => {
  const p = program({
    name: 'two',
    functions: {
      f: fixed(() => {
        const { a, b } = loop({
          times: 2,
          carried: { a: x, b: mul(x, 2) as Tensor },
          step: ({ a, b }) => ({ next: { a: b, b: add(a, b) } }),
        })
        return { outputs: { a, b } }
      }),
    },
  })
  const made = exportOnnx(p, 'f', 0, new Map())
  if (made._tag === 'Left') throw new Error(made.left.message)
  assert.is(decodeModel(made.right).graph.node.filter((n) => n.opType === 'Loop').length, 1)
})

test.run()
