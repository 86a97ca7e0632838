/** What sessions take from the system they give back: counted at runtimes that keep account of themselves. */
import { readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { isLeft } from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import type { InferenceSession } from 'onnxruntime-common'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { node } from '../../src/dsl/graph.ts'
import {
  add,
  axis,
  buckets,
  fixed,
  input,
  mul,
  normal,
  type Program,
  program,
  state,
  type Tensor,
} from '../../src/dsl/index.ts'
import { openSession } from '../../src/engine/backend.ts'
import type { EngineError } from '../../src/engine/error.ts'
import { nativeOptions } from '../../src/engine/onnx/index.ts'
import { loadOnnxRuntime } from '../../src/engine/onnx/runtime.ts'
import { onnxBackend, type Runtime } from '../../src/engine/onnx/session.ts'
import { loadTensorflow } from '../../src/engine/tensorflow/index.ts'
import type { Tensorflow } from '../../src/engine/tensorflow/load.ts'
import { loadSession } from '../../src/engine/tensorflow/session.ts'
import type { TfjsSavedModel } from '../../src/engine/tensorflow/tfjs.ts'
import { tensorValue } from '../../src/engine/values.ts'

const must = async <A>(task: TaskEither<EngineError, A>): Promise<A> => {
  const got = await task()
  if (isLeft(got)) throw new Error(`${got.left._tag}: ${got.left.message}`)
  return got.right
}

/** Three variants: `scale` in two sizes, and `tick`. */
const three = program({
  name: 'three',
  functions: {
    scale: buckets([2, 4], (n) => ({ outputs: { y: mul(input('x', [axis('n', n)]), 3) } })),
    tick: fixed(() => {
      const x = state('x', [axis('row', 3)], normal(1))
      return { outputs: { x: mul(x, 1) }, next: new Map<string, Tensor>([['x', add(x, 1)]]) }
    }),
  },
})
const ones = (n: number) => ({ x: tensorValue('float32', [n], Array(n).fill(1)) })
const later = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20))

// --- onnx -----------------------------------------------------------------------------------------------------

const loaded = loadOnnxRuntime()
if (isLeft(loaded)) throw new Error(loaded.left.message)
const { ort } = loaded.right
const onnx = suite('onnx: native sessions')

/** The runtime, which says what is made, run and released; releasing and running take their time. */
const watchedRuntime = (said: string[] = []) => {
  let made = 0
  const create = async (bytes: Uint8Array, options: InferenceSession.SessionOptions) => {
    const session = await ort.InferenceSession.create(bytes, options)
    const n = ++made
    said.push(`made ${n}`)
    return {
      run: async (feeds: InferenceSession.FeedsType) => {
        await later()
        const results = await session.run(feeds)
        said.push(`ran ${n}`)
        return results
      },
      release: async () => {
        await later()
        await session.release()
        said.push(`released ${n}`)
      },
    }
  }
  const runtime = { InferenceSession: { create }, Tensor: ort.Tensor } as unknown as Runtime
  return { said, open: (p: Program) => must(openSession(onnxBackend(runtime, p, nativeOptions(1)))) }
}

onnx('one for each variant that is called, however often; all released once closing has ended', async () => {
  const { said, open } = watchedRuntime()
  const s = await open(three)
  assert.equal(said, [])
  for (let i = 0; i < 3; i++) {
    await must(s.call('scale', ones(2)))
    await must(s.call('tick', {}))
  }
  assert.equal(
    said.filter((x) => x.startsWith('made')),
    ['made 1', 'made 2'],
  )
  await must(s.call('scale', ones(4)))
  await must(s.read())
  said.length = 0
  await must(s.close())
  assert.equal([...said].sort(), ['released 1', 'released 2', 'released 3'])
  await must(s.close())
  assert.is(said.length, 3)
})

onnx('closing waits for the calls that were started before it', async () => {
  const { said, open } = watchedRuntime()
  const s = await open(three)
  const calls = [s.call('tick', {})(), s.call('tick', {})()]
  const closed = s.close()()
  assert.ok((await Promise.all(calls)).every((c) => !isLeft(c)))
  await closed
  assert.equal(said, ['made 1', 'ran 1', 'ran 1', 'released 1'])
})

onnx('calls that are started together run one after the other', async () => {
  const { said, open } = watchedRuntime()
  const s = await open(three)
  await Promise.all([s.call('scale', ones(2))(), s.call('tick', {})(), s.call('scale', ones(2))()])
  assert.equal(said, ['made 1', 'ran 1', 'made 2', 'ran 2', 'ran 1'])
  await must(s.close())
})

onnx.run()

// --- tensorflow -----------------------------------------------------------------------------------------------

const tensorflow = suite('tensorflow: signatures and folders')
const found = loadTensorflow()
if (isLeft(found)) console.log(`skipped: ${found.left.message}`)

/** TensorFlow, which counts the signatures that are opened and released. */
const watchedTensorflow = (t: Tensorflow) => {
  const count = { opened: 0, released: 0 }
  const { version, env, backend, tensor, memory } = t.tf
  const loadSavedModel: typeof t.tf.node.loadSavedModel = async (...args) => {
    const model = await t.tf.node.loadSavedModel(...args)
    count.opened++
    return {
      predict: (inputs) => model.predict(inputs),
      dispose: () => {
        count.released++
        model.dispose()
      },
    } satisfies TfjsSavedModel
  }
  return { count, watched: { ...t, tf: { version, env, backend, tensor, memory, node: { loadSavedModel } } } }
}
const test = (name: string, body: (t: Tensorflow) => Promise<void>): void => {
  if (!isLeft(found)) tensorflow(name, () => body(found.right))
}
const folders = (): number =>
  readdirSync(tmpdir()).filter((n) => n.startsWith(`sailwright-tf-${process.pid}-`)).length

test('one for each way in, however often it is used; all released at the end', async (t) => {
  const { count, watched } = watchedTensorflow(t)
  const s = await must(loadSession(watched, three, { seed: 1 }))
  const before = count.opened
  for (let i = 0; i < 3; i++) {
    await must(s.call('scale', ones(2)))
    await must(s.call('scale', ones(4)))
    await must(s.call('tick', {}))
    await must(s.read())
  }
  // and one through which the state was filled when it was first needed
  assert.is(count.opened, before + 5)
  assert.is(count.released, 0)
  await must(s.close())
  assert.is(count.released, count.opened)
  await must(s.close())
  assert.is(count.released, count.opened)
})

const keys = ['a', 'b', 'c', 'd', 'e']
/** Five states of 16 bytes, and one of 64. */
const many = program({
  name: 'many',
  functions: {
    look: fixed(() => ({
      outputs: {
        ...Object.fromEntries(keys.map((k) => [k, mul(state(k, [axis('n', 4)], normal(1)), 1)])),
        large: mul(state('large', [axis('m', 16)], normal(1)), 1),
      },
    })),
  },
})

test('states in groups of so many bytes: as many as fit, a larger one by itself', async (t) => {
  const whole = await must(loadSession(t, many, { seed: 5 }))
  const values = await must(whole.read())
  await must(whole.close())
  for (const [groupBytes, groups] of [
    [40, 4],
    [32, 4],
    [31, 6],
    [1, 6],
    [144, 1],
    [143, 2],
  ] as const) {
    const { count, watched } = watchedTensorflow(t)
    const s = await must(loadSession(watched, many, { seed: 5, groupBytes }))
    assert.is(count.opened, 1, 'the graph itself')
    assert.equal(await must(s.read()), values)
    // what fills the states from the seed, and what reads them
    assert.is(count.opened, 1 + 2 * groups, `filled and read in groups of ${groupBytes}`)
    const next = new Map(
      [...values].map(([k, v], i) => [
        k,
        tensorValue(
          'float32',
          v.shape,
          [...v.data].map((x) => x + i),
        ),
      ]),
    )
    await must(s.write(next))
    assert.equal((await must(s.snapshot())).states, next)
    assert.is(count.opened, 1 + 2 * groups, 'what was opened before is used again')
    await must(s.close())
    assert.is(count.released, count.opened)
  }
})

test('a graph that is refused leaves nothing behind', async (t) => {
  const { count, watched } = watchedTensorflow(t)
  const x = input('x', [axis('row', 3)], 'bool')
  // made by hand, because the language refuses it
  const y = node({ op: 'compare', fn: 'less' }, [x, x], x.axes, 'bool', { line: '' })
  const refused = program({
    name: 'refused',
    functions: { f: fixed(() => ({ outputs: { y } })) },
  })
  const before = folders()
  assert.ok(isLeft(await loadSession(watched, refused)()))
  assert.is(folders(), before)
  assert.is(count.released, count.opened)
})

tensorflow.run()
