import { isLeft, isRight } from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { node } from '../../src/dsl/graph.ts'
import {
  add,
  axis,
  constant,
  gather,
  input,
  mul,
  parameter,
  reshape,
  scalar,
  state,
  stopGradient,
  type Tensor,
} from '../../src/dsl/index.ts'
import { normal, zeros } from '../../src/dsl/init.ts'
import { buckets, fixed, type Program, program } from '../../src/dsl/program.ts'
import type { EngineError } from '../../src/engine/error.ts'
import { loadOnnx, onnxEngine } from '../../src/engine/onnx/index.ts'
import { loadOnnxRuntime } from '../../src/engine/onnx/runtime.ts'
import type { Runtime } from '../../src/engine/onnx/session.ts'
import type { LoadOptions, Session } from '../../src/engine/session.ts'
import { scalarValue, tensorValue } from '../../src/engine/values.ts'

const must = async <A>(task: TaskEither<EngineError, A>): Promise<A> => {
  const got = await task()
  if (isLeft(got)) throw new Error(`${got.left._tag}: ${got.left.message}`)
  return got.right
}
const fault = async <A>(task: TaskEither<EngineError, A>): Promise<EngineError> => {
  const got = await task()
  if (isRight(got)) throw new Error('it did not fail')
  return got.left
}
const open = async (p: Program, options?: LoadOptions): Promise<Session> =>
  must((await must(onnxEngine())).load(p, options))
const numbers = (data: ArrayLike<number>): number[] => Array.from(data)

const Row = axis('row', 2)
const Col = axis('col', 3)

/** `scale` multiplies the weight by x and counts calls; `look` reads; `pass` gives back what it gets. */
const counter = program({
  name: 'counter',
  functions: {
    scale: fixed(() => {
      const w = parameter('w', [Row, Col], normal(1))
      const n = state('n', [], zeros, 'int32')
      const next = mul(w, input('x', []))
      return {
        outputs: { before: w, after: next, same: next },
        next: new Map<string, Tensor>([
          ['w', next],
          ['n', add(n, scalar(1, 'int32'))],
        ]),
      }
    }),
    look: buckets([2, 4], (n) => {
      const many = axis('many', n)
      const ids = input('ids', [many], 'int32')
      return { outputs: { rows: gather(parameter('w', [Row, Col], normal(1)), ids) } }
    }),
    pass: fixed(() => {
      const x = input('x', [Col])
      const c = constant(Float32Array.of(7, 8), [Row])
      return { outputs: { x, again: stopGradient(x), view: reshape(x, [axis('other', 3)]), c } }
    }),
    swap: fixed(() => {
      const [a, b] = [parameter('a', [Col], normal(1)), parameter('b', [Col], normal(1))]
      return {
        outputs: {},
        next: new Map<string, Tensor>([
          ['a', b],
          ['b', a],
        ]),
      }
    }),
  },
})

const sessions = suite('onnx: session')

sessions('state is filled from the seed, changed by calls, read and written', async () => {
  const s = await open(counter, { seed: 3 })
  const again = await open(counter, { seed: 3 })
  const other = await open(counter, { seed: 4 })
  const first = (await must(s.read(['w']))).get('w')!
  assert.equal(first.shape, [2, 3])
  assert.equal(first, (await must(again.read(['w']))).get('w'))
  assert.not.equal(numbers(first.data), numbers((await must(other.read(['w']))).get('w')!.data))

  const out = await must(s.call('scale', { x: scalarValue(2) }))
  assert.equal(numbers(out.before!.data), numbers(first.data))
  assert.equal(
    numbers(out.after!.data),
    numbers(first.data).map((x) => Math.fround(2 * x)),
  )
  const all = await must(s.read())
  assert.equal([...all.keys()].sort(), ['a', 'b', 'n', 'w'])
  assert.equal(numbers(all.get('w')!.data), numbers(out.after!.data))
  assert.equal(numbers(all.get('n')!.data), [1])

  await must(s.write(new Map([['w', tensorValue('float32', [2, 3], [1, 2, 3, 4, 5, 6])]])))
  const rows = await must(s.call('look', { ids: tensorValue('int32', [2], [1, 0]) }))
  assert.equal(numbers(rows.rows!.data), [4, 5, 6, 1, 2, 3])
  for (const x of [s, again, other]) await must(x.close())
})

sessions('what is handed out shares memory with nothing', async () => {
  const s = await open(counter)
  const x = tensorValue('float32', [3], [1, 2, 3])
  const passed = await must(s.call('pass', { x }))
  passed.x!.data[0] = 9
  passed.view!.data[1] = 9
  assert.equal(numbers(x.data), [1, 2, 3])
  assert.equal(numbers(passed.again!.data), [1, 2, 3])
  passed.c!.data[0] = 0
  assert.equal(numbers((await must(s.call('pass', { x }))).c!.data), [7, 8])

  const out = await must(s.call('scale', { x: scalarValue(1) }))
  const kept = numbers(out.same!.data)
  out.after!.data.fill(0)
  out.before!.data.fill(0)
  assert.equal(numbers(out.same!.data), kept)
  assert.equal(numbers((await must(s.read(['w']))).get('w')!.data), kept)
  const read = (await must(s.read(['w']))).get('w')!
  read.data.fill(0)
  assert.equal(numbers((await must(s.read(['w']))).get('w')!.data), kept)
  await must(s.close())
})

sessions('states may take each other’s values', async () => {
  const s = await open(counter)
  const before = await must(s.read(['a', 'b']))
  await must(s.call('swap', {}))
  const after = await must(s.read(['a', 'b']))
  assert.equal(after.get('a'), before.get('b'))
  assert.equal(after.get('b'), before.get('a'))
  await must(s.close())
})

sessions('calls run in the order in which they were started', async () => {
  const s = await open(counter)
  await must(s.write(new Map([['w', tensorValue('float32', [2, 3], [1, 1, 1, 1, 1, 1])]])))
  const calls = [2, 3, 5].map((x) => s.call('scale', { x: scalarValue(x) })())
  const ends = await Promise.all(calls)
  assert.equal(
    ends.map((r) => (isRight(r) ? r.right.after!.data[0] : r.left)),
    [2, 6, 30],
  )
  await must(s.close())
})

sessions('a snapshot outlives the session and comes back bit for bit', async () => {
  const s = await open(counter, { seed: 1 })
  const kept = await must(s.snapshot())
  await must(s.call('scale', { x: scalarValue(0.1) }))
  await must(s.restore(kept))
  assert.equal((await must(s.snapshot())).states, kept.states)
  await must(s.close())
  const next = await open(counter, { seed: 2 })
  await must(next.restore(kept))
  assert.equal((await must(next.read())).get('w'), kept.states.get('w'))
  const part = { states: new Map([['w', kept.states.get('w')!]]) }
  assert.is((await fault(next.restore(part)))._tag, 'BadInput')
  await must(next.close())
})

sessions('faults are values that say what there is', async () => {
  const s = await open(counter)
  const x = scalarValue(1)
  const unknown = await fault(s.call('nothing', {}))
  assert.is(unknown._tag, 'UnknownFunction')
  assert.match(unknown.message, "'scale', 'look', 'pass', 'swap'")
  assert.is((await fault(s.call('scale', {})))._tag, 'BadInput')
  assert.match((await fault(s.call('scale', { y: x }))).message, /missing input 'x' and unknown input 'y'/)
  const size = await fault(s.call('look', { ids: tensorValue('int32', [3], [0, 1, 1]) }))
  assert.is(size._tag, 'NoVariant')
  assert.match(size.message, 'ids [2] | ids [4]')
  const dtype = await fault(s.call('look', { ids: tensorValue('float32', [2], [0, 1]) }))
  assert.is(dtype._tag, 'BadInput')
  assert.match(dtype.message, "input 'ids' is float32; it must be int32")
  const length = await fault(s.call('look', { ids: tensorValue('int32', [2], [0]) }))
  assert.match(length.message, '1 elements for its shape [2]')
  assert.is((await fault(s.read(['nowhere'])))._tag, 'UnknownState')
  const w = (await must(s.read(['w']))).get('w')!
  const half = new Map([
    ['w', tensorValue('float32', [2, 3], [0, 0, 0, 0, 0, 0])],
    ['a', tensorValue('float32', [2], [0, 0])],
  ])
  assert.is((await fault(s.write(half)))._tag, 'BadInput')
  assert.equal((await must(s.read(['w']))).get('w'), w)
  await must(s.close())
  await must(s.close())
  assert.is((await fault(s.call('scale', { x })))._tag, 'Closed')
  assert.is((await fault(s.read()))._tag, 'Closed')
})

sessions('a failure while running names the node and the line that built it', async () => {
  let broken = true
  const { ort } = await must(async () => loadOnnxRuntime())
  // the runtime's own words
  const create = async (bytes: Uint8Array, options: object) => {
    const session = await ort.InferenceSession.create(bytes, options)
    const name = /Gather_\d+/.exec(Buffer.from(bytes).toString('latin1'))![0]
    const run: typeof session.run = async (feeds: never) => {
      if (broken)
        throw new Error(
          `Non-zero status code returned while running Gather node. Name:'${name}' Status Message: lost`,
        )
      return session.run(feeds)
    }
    return { run, release: () => session.release() }
  }
  const runtime = { InferenceSession: { create }, Tensor: ort.Tensor } as unknown as Runtime
  const s = await must(loadOnnx(runtime)(counter))
  const ids = tensorValue('int32', [2], [0, 1])
  const e = await fault(s.call('look', { ids }))
  assert.is(e._tag, 'Failed')
  assert.match(e.message, 'gather (many 2 × col 3, float32)')
  assert.match(e.where!, /onnx-session\.test\.ts:\d+:\d+$/)
  broken = false
  assert.is((await must(s.call('look', { ids }))).rows!.data.length, 6)
  await must(s.close())
})

sessions('a graph that the runtime refuses names the node, its axes and the line', async () => {
  const [a, b] = [input('a', [axis('n', 2)]), input('b', [axis('n', 3)])]
  const site = { line: 'experiment.ts:12:7' }
  const wrong = node({ op: 'binary', fn: 'add' }, [a, b], [axis('n', 3)], 'float32', site)
  const p = program({ name: 'wrong', functions: { f: fixed(() => ({ outputs: { y: wrong } })) } })
  const s = await open(p)
  const e = await fault(
    s.call('f', { a: tensorValue('float32', [2], [1, 2]), b: tensorValue('float32', [3], [1, 2, 3]) }),
  )
  assert.is(e._tag, 'Refused')
  assert.match(e.message, "binary 'add' (n 3, float32)")
  assert.is(e.where, 'experiment.ts:12:7')
  await must(s.close())
})

sessions.run()
