import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Either, isLeft } from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { evaluate } from '../../src/dsl/evaluate.ts'
import { node } from '../../src/dsl/graph.ts'
import {
  add,
  axis,
  buckets,
  cast,
  constant,
  contract,
  fixed,
  gather,
  input,
  less,
  mul,
  normal,
  type Program,
  program,
  reshape,
  scalar,
  state,
  sum,
  type Tensor,
  zeros,
} from '../../src/dsl/index.ts'
import type { EngineError } from '../../src/engine/error.ts'
import type { Session, TensorValue } from '../../src/engine/session.ts'
import {
  engineOf,
  loadTensorflow,
  tensorflowEngine,
  writeSavedModel,
} from '../../src/engine/tensorflow/index.ts'
import { tensorValue } from '../../src/engine/values.ts'
import { adamW, clipByGlobalNorm } from '../../src/optim/index.ts'

const engine = await tensorflowEngine()()
const sessions = suite('tensorflow: sessions')

const right = async <A>(task: TaskEither<EngineError, A>): Promise<A> => {
  const result = await task()
  if (isLeft(result)) throw new Error(`${result.left._tag}: ${result.left.message}`)
  return result.right
}
const left = async (task: TaskEither<EngineError, unknown>): Promise<EngineError> => {
  const result: Either<EngineError, unknown> = await task()
  assert.ok(isLeft(result), 'an error was expected')
  return (result as { left: EngineError }).left
}
const using = async (p: Program, body: (s: Session) => Promise<void>, seed = 0): Promise<void> => {
  if (isLeft(engine)) throw new Error(engine.left.message)
  const s = await right(engine.right.load(p, { seed }))
  try {
    await body(s)
  } finally {
    await right(s.close())
  }
}
const test = (name: string, body: () => Promise<void>): void => {
  if (isLeft(engine)) return
  sessions(name, body)
}
if (isLeft(engine)) console.log(`skipped: ${engine.left.message}`)

const Row = axis('row', 3)
const f32 = (...xs: number[]): TensorValue => tensorValue('float32', [xs.length], xs)
const one = (x: number): TensorValue => tensorValue('float32', [], [x])

test('an output is computed from the state as the call found it; the next call sees the next state', async () => {
  const count = state('count', [], zeros, 'int32')
  const p = program({
    name: 'counter',
    functions: {
      tick: fixed(() => ({ outputs: { was: count }, next: new Map([['count', add(count, 1) as Tensor]]) })),
    },
  })
  await using(p, async (s) => {
    for (const expected of [0, 1, 2]) {
      const { was } = await right(s.call('tick', {}))
      assert.equal([was!.dtype, was!.shape, [...was!.data]], ['int32', [], [expected]])
    }
    assert.equal([...(await right(s.read(['count']))).get('count')!.data], [3])
  })
})

test('states may swap: every next value is computed before any state changes', async () => {
  const [a, b] = [state('a', [Row], normal(1)), state('b', [Row], normal(1))]
  const p = program({
    name: 'swap',
    functions: {
      swap: fixed(() => ({
        outputs: { a: mul(a, 1) },
        next: new Map<string, Tensor>([
          ['a', b],
          ['b', a],
        ]),
      })),
    },
  })
  await using(p, async (s) => {
    const before = await right(s.read())
    for (let i = 0; i < 3; i++) await right(s.call('swap', {}))
    const after = await right(s.read())
    assert.equal(after.get('a')!.data, before.get('b')!.data)
    assert.equal(after.get('b')!.data, before.get('a')!.data)
    assert.not.equal(before.get('a')!.data, before.get('b')!.data)
  })
})

test('two sessions of one program have states of their own', async () => {
  const count = state('count', [], zeros)
  const p = program({
    name: 'twice',
    functions: { tick: fixed(() => ({ outputs: {}, next: new Map([['count', add(count, 1) as Tensor]]) })) },
  })
  await using(p, (a) =>
    using(p, async (b) => {
      await right(a.call('tick', {}))
      await right(a.call('tick', {}))
      await right(b.call('tick', {}))
      assert.equal([...(await right(a.read())).get('count')!.data], [2])
      assert.equal([...(await right(b.read())).get('count')!.data], [1])
    }),
  )
})

test('calls run in the order in which they were started', async () => {
  const x = state('x', [], zeros)
  const p = program({
    name: 'order',
    functions: {
      affine: fixed(() => ({
        outputs: {},
        next: new Map([['x', add(mul(x, 2), input('by', [])) as Tensor]]),
      })),
    },
  })
  await using(p, async (s) => {
    const started = [1, 2, 3].map((by) => s.call('affine', { by: one(by) })())
    const read = s.read(['x'])()
    await Promise.all(started)
    const result = await read
    assert.equal(isLeft(result) ? 'left' : [...result.right.get('x')!.data], [(1 * 2 + 2) * 2 + 3])
  })
})

test('a state does not keep the memory that a caller passed in', async () => {
  const x = state('x', [axis('n', 4096)], zeros)
  const p = program({
    name: 'kept',
    functions: {
      keep: fixed(() => ({
        outputs: {},
        next: new Map([['x', input('value', [axis('n', 4096)]) as Tensor]]),
      })),
      look: fixed(() => ({ outputs: { x } })),
    },
  })
  await using(p, async (s) => {
    // TensorFlow shares memory that lies on a 64-byte boundary: of 16 neighbouring places one does
    const memory = new Float32Array(4096 + 16)
    for (let from = 0; from < 16; from++) {
      const value = memory.subarray(from, from + 4096).fill(1)
      const wrapped = { shape: [4096], dtype: 'float32' as const, data: value }
      await right(s.call('keep', { value: wrapped }))
      value.fill(2)
      assert.is((await right(s.call('look', {}))).x!.data[17], 1)
      await right(s.write(new Map([['x', wrapped]])))
      value.fill(3)
      assert.is((await right(s.read())).get('x')!.data[17], 2)
    }
  })
})

test('a snapshot comes back bit for bit, negative zero and NaN too, in every dtype', async () => {
  const p = program({
    name: 'snapshot',
    functions: {
      bump: fixed(() => {
        const [f, i, b] = [
          state('f', [Row], normal(1)),
          state('i', [Row], zeros, 'int32'),
          state('b', [Row], zeros, 'bool'),
        ]
        return {
          outputs: {},
          next: new Map<string, Tensor>([
            ['f', mul(f, 3)],
            ['i', add(i, 5)],
            ['b', less(cast(b, 'int32'), i)],
          ]),
        }
      }),
    },
  })
  await using(p, async (s) => {
    const bits = new Float32Array(new Uint32Array([0x80000000, 0x7fc01234, 0x00000001]).buffer)
    const values = new Map<string, TensorValue>([
      ['f', { shape: [3], dtype: 'float32', data: bits }],
      ['i', tensorValue('int32', [3], [-2147483648, 0, 2147483647])],
      ['b', tensorValue('bool', [3], [1, 0, 1])],
    ])
    await right(s.write(values))
    const snapshot = await right(s.snapshot())
    await right(s.call('bump', {}))
    assert.equal([...(await right(s.read(['i']))).get('i')!.data], [-2147483643, 5, -2147483644])
    await right(s.restore(snapshot))
    const back = await right(s.read())
    for (const [key, v] of values) {
      const bytes = (d: TensorValue['data']) => [...new Uint8Array(d.buffer, d.byteOffset, d.byteLength)]
      assert.equal(bytes(back.get(key)!.data), bytes(v.data), key)
    }
  })
})

test('AdamW in place equals its definition, with clipping and decay, over five steps', async () => {
  const [Out, In, N] = [axis('out', 5), axis('in', 4), axis('n', 7)]
  const w = state('w', [Out, In], normal(0.5))
  const b = state('b', [Out], normal(0.5))
  const x = input('x', [N, In])
  const parameters = new Map<string, Tensor>([
    ['w', w],
    ['b', b],
  ])
  const y = add(contract(x, w, 'in'), b)
  // the gradients of Σ y² / 2: yᵀx and Σ y
  const gradients = [contract(y, x, 'n'), sum(y, 'n')] as Tensor[]
  const { next } = adamW(parameters, clipByGlobalNorm(gradients, 0.7).gradients, input('lr', []), {
    decay: 0.3,
  })
  const p = program({ name: 'adamW', functions: { step: fixed(() => ({ outputs: {}, next })) } })
  const keys = [...next.keys()]
  await using(p, async (s) => {
    let states: Record<string, ArrayLike<number>> = Object.fromEntries(
      [...(await right(s.read()))].map(([k, v]) => [k, v.data]),
    )
    for (let step = 0; step < 5; step++) {
      const data = Array.from({ length: 28 }, (_, i) => Math.sin(i * (step + 1)))
      await right(s.call('step', { x: tensorValue('float32', [7, 4], data), lr: one(0.05) }))
      const roots = evaluate([...next.values()], {
        inputs: { x: Float32Array.from(data), lr: Float32Array.of(0.05) },
        states,
      })
      states = Object.fromEntries(keys.map((k, i) => [k, roots[i]!]))
      for (const [k, v] of await right(s.read(keys)))
        v.data.forEach((got, i) => {
          const want = states[k]![i]!
          assert.ok(
            Math.abs(got - want) <= 2e-6 * Math.max(1, Math.abs(want)),
            `step ${step} ${k}: ${got} for ${want}`,
          )
        })
    }
  })
})

test('the variant is chosen by the shapes of the inputs', async () => {
  const p = program({
    name: 'buckets',
    functions: {
      total: buckets([2, 4], (n) => ({ outputs: { y: sum(input('x', [axis('n', n)]), 'n') } })),
    },
  })
  await using(p, async (s) => {
    assert.is((await right(s.call('total', { x: f32(1, 2) }))).y!.data[0], 3)
    assert.is((await right(s.call('total', { x: f32(1, 2, 3, 4) }))).y!.data[0], 10)
    assert.is((await left(s.call('total', { x: f32(1, 2, 3) })))._tag, 'NoVariant')
    assert.is((await left(s.call('other', {})))._tag, 'UnknownFunction')
    assert.is((await left(s.read(['nothing'])))._tag, 'UnknownState')
  })
})

test('inputs may be unused, constant outputs and views of inputs may be fetched', async () => {
  const p = program({
    name: 'views',
    functions: {
      f: fixed(() => {
        const x = input('x', [axis('a', 2), axis('b', 2)])
        return { outputs: { five: scalar(5), flat: reshape(x, [axis('c', 4)]), same: x, again: x } }
      }),
      g: fixed(() => ({ outputs: { c: constant(Float32Array.of(1, 2), [axis('a', 2)]) } })),
    },
  })
  await using(p, async (s) => {
    const r = await right(s.call('f', { x: tensorValue('float32', [2, 2], [1, 2, 3, 4]) }))
    assert.equal(
      Object.entries(r).map(([n, v]) => [n, v.shape, [...v.data]]),
      [
        ['five', [], [5]],
        ['flat', [4], [1, 2, 3, 4]],
        ['same', [2, 2], [1, 2, 3, 4]],
        ['again', [2, 2], [1, 2, 3, 4]],
      ],
    )
    assert.equal([...(await right(s.call('g', {}))).c!.data], [1, 2])
  })
})

test('what TensorFlow fails at names the node and the line that built it', async () => {
  const p = program({
    name: 'out of range',
    functions: {
      rows: fixed(() => ({
        outputs: { y: gather(constant(Float32Array.of(1, 2), [axis('v', 2)]), input('i', [Row], 'int32')) },
      })),
    },
  })
  const found = loadTensorflow()
  if (isLeft(found)) return
  let broken = true
  const { version, env, backend, tensor, memory, node } = found.right.tf
  // TensorFlow's own words
  const loadSavedModel: typeof node.loadSavedModel = async (...args) => {
    const model = await node.loadSavedModel(...args)
    const predict: typeof model.predict = (inputs) => {
      if (broken) throw new Error('indices[2] = 9 is not in [0, 2)\n\t [[{{node rows.0/GatherV2}}]]')
      return model.predict(inputs)
    }
    return { predict, dispose: () => model.dispose() }
  }
  const tf = { version, env, backend, tensor, memory, node: { loadSavedModel } }
  const s = await right(engineOf({ ...found.right, tf }).load(p))
  const i = tensorValue('int32', [3], [0, 1, 0])
  const failed = await left(s.call('rows', { i }))
  assert.is(failed._tag, 'Failed')
  assert.match(failed.message, /gather \(row 3, float32\)/)
  assert.match(failed.where!, /tensorflow-session\.test\.ts:\d+/)
  broken = false
  assert.equal([...(await right(s.call('rows', { i }))).y!.data], [1, 2, 1])
  await right(s.close())
})

test('a graph that TensorFlow refuses is an error that names the node and the line', async () => {
  const x = input('x', [Row], 'bool')
  // no builder gives bools an order
  const y = node({ op: 'compare', fn: 'less' }, [x, x], x.axes, 'bool', x.site)
  const p = program({ name: 'refused', functions: { f: fixed(() => ({ outputs: { y } })) } })
  if (isLeft(engine)) return
  const no = await left(engine.right.load(p))
  assert.is(no._tag, 'Refused')
  assert.match(no.message, /compare 'less' \(row 3, bool\)/)
  assert.match(no.where!, /tensorflow-session\.test\.ts:\d+/)
})

test('the state is filled from the seed', async () => {
  const p = program({
    name: 'seeded',
    functions: { look: fixed(() => ({ outputs: { w: state('w', [axis('n', 8)], normal(1)) } })) },
  })
  const seen: number[][] = []
  for (const seed of [1, 1, 2])
    await using(p, async (s) => void seen.push([...(await right(s.read())).get('w')!.data]), seed)
  assert.equal(seen[0], seen[1])
  assert.not.equal(seen[0], seen[2])
})

test('a program saved as a folder runs in any TensorFlow, with its values', async () => {
  const found = loadTensorflow()
  if (isLeft(found)) return
  const { tf } = found.right
  const w = state('layer.weight', [Row], normal(1))
  const p = program({
    name: 'saved',
    functions: {
      step: fixed(() => ({
        outputs: { y: mul(w, input('by', [])) },
        next: new Map([['layer.weight', add(w, 1) as Tensor]]),
      })),
    },
  })
  const folder = mkdtempSync(join(tmpdir(), 'sailwright-saved-'))
  await writeSavedModel(p, new Map([['layer.weight', Float32Array.of(1, 2, 3)]]), folder)
  const model = await tf.node.loadSavedModel(folder, ['serve'], 'step.0')
  const by = tf.tensor(Float32Array.of(10), [], 'float32')
  const seen = [0, 1].map(() => {
    const out = model.predict({ by })
    const y = [...out.y!.dataSync()]
    for (const x of Object.values(out)) x.dispose()
    return y
  })
  by.dispose()
  model.dispose()
  rmSync(folder, { recursive: true })
  assert.equal(seen, [
    [10, 20, 30],
    [20, 30, 40],
  ])
})

test('a SavedModel brings computed indices into range, and takes no value of another size or dtype', async () => {
  const found = loadTensorflow()
  if (isLeft(found)) return
  const { tf } = found.right
  const table = state('table', [Row], normal(1))
  const p = program({
    name: 'saved',
    functions: {
      f: fixed(() => ({ outputs: { y: gather(table, cast(input('at', [axis('i', 3)]), 'int32')) } })),
    },
  })
  const folder = mkdtempSync(join(tmpdir(), 'sailwright-saved-'))
  for (const value of [Float32Array.of(1, 2), Int32Array.of(1, 2, 3)])
    await writeSavedModel(p, new Map([['table', value]]), folder).then(
      () => assert.unreachable(),
      (e: Error) => assert.match(e.message, /state 'table' is float32 of row 3; an? \w+ of \d was given/),
    )
  await writeSavedModel(p, new Map([['table', Float32Array.of(1, 2, 3)]]), folder)
  const model = await tf.node.loadSavedModel(folder, ['serve'], 'f.0')
  const at = tf.tensor(Float32Array.of(-2, 1.5, 7), [3], 'float32')
  const out = model.predict({ at })
  const y = [...out.y!.dataSync()]
  for (const x of [at, ...Object.values(out)]) x.dispose()
  model.dispose()
  rmSync(folder, { recursive: true })
  assert.equal(y, [1, 2, 3])
})

test('closing frees the folder and every native tensor; afterwards everything is Closed', async () => {
  const found = loadTensorflow()
  if (isLeft(found) || isLeft(engine)) return
  const tensors = (): number => found.right.tf.memory().numTensors
  const ours = (): number =>
    readdirSync(tmpdir()).filter((n) => n.startsWith(`sailwright-tf-${process.pid}-`)).length
  const before = [tensors(), ours()]
  const x = state('x', [Row], normal(1))
  const p = program({
    name: 'closing',
    functions: {
      f: fixed(() => ({
        outputs: { y: mul(x, input('by', [])) },
        next: new Map([['x', add(x, 1) as Tensor]]),
      })),
    },
  })
  const s = await right(engine.right.load(p))
  assert.is(ours(), before[1]! + 1)
  for (let i = 0; i < 3; i++) await right(s.call('f', { by: one(2) }))
  await left(s.call('f', { by: f32(1, 2) }))
  await right(s.snapshot())
  await right(s.close())
  await right(s.close())
  assert.equal([tensors(), ours()], before)
  for (const task of [s.call('f', { by: one(1) }), s.read(), s.snapshot()])
    assert.is((await left(task as TaskEither<EngineError, unknown>))._tag, 'Closed')
})

sessions.run()
