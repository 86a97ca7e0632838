/** What holds for a session of every engine. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { type Either, isLeft, isRight } from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  add,
  axis,
  cast,
  type Dtype,
  filled,
  fixed,
  GraphError,
  type Init,
  input,
  normal,
  not,
  ones,
  type Program,
  program,
  state,
  type Tensor,
  uniform,
  zeros,
} from '../../src/dsl/index.ts'
import { fill } from '../../src/dsl/init.ts'
import type { EngineError } from '../../src/engine/error.ts'
import type { LoadOptions, Session, TensorValue } from '../../src/engine/session.ts'
import { loadTensorflow, writeSavedModel } from '../../src/engine/tensorflow/index.ts'
import { tensorValue } from '../../src/engine/values.ts'
import { presentEngines } from '../support/engines.ts'

const engines = await presentEngines()

const must = async <A>(task: TaskEither<EngineError, A>): Promise<A> => {
  const got = await task()
  if (isLeft(got)) throw new Error(`${got.left._tag}: ${got.left.message}`)
  return got.right
}
const fault = async (task: TaskEither<EngineError, unknown>): Promise<EngineError> => {
  const got: Either<EngineError, unknown> = await task()
  if (isRight(got)) throw new Error('it did not fail')
  return got.left
}
const bytes = (v: TensorValue): number[] => [
  ...new Uint8Array(v.data.buffer, v.data.byteOffset, v.data.byteLength),
]
const dtypes = ['float32', 'int32', 'bool'] as const

for (const engine of engines) {
  const sessions = suite(`${engine.name}: a session`)
  const using = async <A>(
    p: Program,
    body: (s: Session) => Promise<A>,
    options?: LoadOptions,
  ): Promise<A> => {
    const s = await must(engine.load(p, options))
    try {
      return await body(s)
    } finally {
      await must(s.close())
    }
  }

  /** States of every dtype, and a function that reads them all. */
  const holding = (specs: Readonly<Record<string, readonly [Dtype, Init]>>, size = 5): Program => {
    const N = axis('n', size)
    return program({
      name: 'holding',
      functions: {
        look: fixed(() => ({
          outputs: Object.fromEntries(
            Object.entries(specs).map(([key, [dtype, init]]) => {
              const s = state(key, [N], init, dtype)
              return [key, dtype === 'bool' ? not(not(s)) : add(s, 0)]
            }),
          ) as Record<string, Tensor>,
        })),
      },
    })
  }

  sessions('a state of every dtype begins with what its initialiser gives', async () => {
    const p = holding({
      fz: ['float32', zeros],
      fo: ['float32', ones],
      fc: ['float32', filled(-2.5)],
      fn: ['float32', normal(1)],
      iz: ['int32', zeros],
      io: ['int32', ones],
      ic: ['int32', filled(-7)],
      bz: ['bool', zeros],
      bo: ['bool', ones],
      bc: ['bool', filled(1)],
    })
    const first: Record<string, number> = {
      fz: 0,
      fo: 1,
      fc: -2.5,
      iz: 0,
      io: 1,
      ic: -7,
      bz: 0,
      bo: 1,
      bc: 1,
    }
    await using(
      p,
      async (s) => {
        for (const all of [await must(s.read()), new Map(Object.entries(await must(s.call('look', {}))))])
          for (const [key, v] of all)
            assert.equal(
              [...v.data],
              key === 'fn' ? [...fill(normal(1), 5, 3, 'fn')] : Array(5).fill(first[key]),
              key,
            )
      },
      { seed: 3 },
    )
  })

  sessions('values of every dtype go round: write, read, call, snapshot, restore', async () => {
    const p = holding({ float32: ['float32', zeros], int32: ['int32', zeros], bool: ['bool', zeros] })
    const length = { minLength: 5, maxLength: 5 }
    const values = fc.record({
      float32: fc.float32Array(length),
      int32: fc.int32Array(length),
      bool: fc.uint8Array({ ...length, max: 1 }),
    })
    const taken = (v: Record<Dtype, TensorValue['data']>): ReadonlyMap<string, TensorValue> =>
      new Map(dtypes.map((dtype) => [dtype, { shape: [5], dtype, data: v[dtype] }]))
    await using(p, (s) =>
      fc.assert(
        fc.asyncProperty(values, values, async (a, b) => {
          const [first, second] = [taken(a), taken(b)]
          const equal = (got: ReadonlyMap<string, TensorValue>, want: ReadonlyMap<string, TensorValue>) => {
            for (const [key, v] of want) assert.equal(bytes(got.get(key)!), bytes(v), key)
          }
          await must(s.write(first))
          equal(await must(s.read()), first)
          const looked = await must(s.call('look', {}))
          assert.equal([...looked.int32!.data], [...a.int32])
          assert.equal([...looked.bool!.data], [...a.bool])
          const kept = await must(s.snapshot())
          await must(s.write(second))
          equal(await must(s.read()), second)
          await must(s.restore(kept))
          equal(await must(s.read()), first)
        }),
        { numRuns: 20 },
      ),
    )
  })

  sessions('a state of rank 0 goes round in every dtype', async () => {
    const p = program({
      name: 'scalars',
      functions: {
        look: fixed(() => ({
          outputs: Object.fromEntries(dtypes.map((d) => [d, not(not(cast(state(d, [], ones, d), 'bool')))])),
        })),
      },
    })
    await using(p, async (s) => {
      const zero = new Map(dtypes.map((d) => [d, tensorValue(d, [], [0])]))
      for (const want of [await must(s.read()), zero]) {
        await must(s.write(want))
        assert.equal(await must(s.read()), want)
        const out = await must(s.call('look', {}))
        for (const d of dtypes) assert.equal([...out[d]!.data], [want.get(d)!.data[0]])
      }
    })
  })

  sessions('a value that a bool cannot have is refused', async () => {
    const p = holding({ b: ['bool', zeros] })
    await using(p, async (s) => {
      const e = await fault(s.write(new Map([['b', tensorValue('bool', [5], [0, 1, 1, 3, 0])]])))
      assert.is(e._tag, 'BadInput')
      assert.match(e.message, "state 'b' is bool and holds 3 at 3; it must be 0 or 1")
    })
  })
  sessions.run()
}

const programs = suite('programs')
programs('an initialiser that gives no values of the dtype is refused with key and line', () => {
  const N = axis('n', 2)
  const wrong: readonly (readonly [Dtype, Init, RegExp])[] = [
    ['int32', normal(1), /state 'k' is int32 and its initialiser is 'normal'/],
    ['bool', uniform(1), /state 'k' is bool and its initialiser is 'uniform'/],
    ['int32', filled(0.5), /begins with 0.5; an int32 is an integer/],
    ['int32', filled(2 ** 31), /begins with 2147483648/],
    ['bool', filled(2), /begins with 2; a bool is 0 or 1/],
    ['int32', filled(Number.NaN), /state 'k': its init constant has value NaN; give a finite number/],
  ]
  for (const [dtype, init, message] of wrong)
    assert.throws(
      () =>
        program({
          name: 'p',
          functions: { f: fixed(() => ({ outputs: { k: state('k', [N], init, dtype) } })) },
        }),
      (e: unknown) =>
        e instanceof GraphError && message.test(e.message) && /session\.test\.ts:\d+/.test(e.where),
    )
})
programs('the empty name is refused', () => {
  const N = axis('n', 2)
  for (const build of [
    () => ({ outputs: { y: input('', [N]) } }),
    () => ({ outputs: { '': input('x', [N]) } }),
    () => ({ outputs: { y: state('', [N], zeros) } }),
  ])
    assert.throws(() => program({ name: 'p', functions: { f: fixed(build) } }), /empty name/)
  assert.throws(
    () => program({ name: 'p', functions: { '': fixed(() => ({ outputs: { y: input('x', [N]) } })) } }),
    /empty name/,
  )
})
programs.run()

const saved = suite('tensorflow: a saved model')
const tensorflow = loadTensorflow()
if (isRight(tensorflow))
  saved('states of every dtype begin with the values that were saved', async () => {
    const { tf } = tensorflow.right
    const N = axis('n', 3)
    const p = program({
      name: 'saved',
      functions: {
        look: fixed(() => ({
          outputs: Object.fromEntries(
            dtypes.map((d) => [
              d,
              d === 'bool' ? cast(state(d, [N], zeros, d), 'int32') : add(state(d, [N], zeros, d), 0),
            ]),
          ) as Record<string, Tensor>,
        })),
      },
    })
    const values = new Map<string, TensorValue['data']>([
      ['float32', Float32Array.of(1.5, -0, 3)],
      ['int32', Int32Array.of(-2147483648, 0, 7)],
      ['bool', Uint8Array.of(1, 0, 1)],
    ])
    const folder = mkdtempSync(join(tmpdir(), 'sailwright-saved-'))
    try {
      await writeSavedModel(p, values, folder)
      const model = await tf.node.loadSavedModel(folder, ['serve'], 'look.0')
      const out = model.predict({})
      for (const d of dtypes) assert.equal([...out[d]!.dataSync()], [...values.get(d)!], d)
      for (const x of Object.values(out)) x.dispose()
      model.dispose()
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
saved.run()
