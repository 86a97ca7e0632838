/** What a session does when something goes wrong around it: values of no kind, libraries that throw, no memory, no turns. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { isLeft, isRight, type Left, left, type Right, right } from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  add,
  axis,
  buckets,
  contract,
  fixed,
  input,
  mul,
  normal,
  type Program,
  program,
  reshape,
  sin,
  state,
  sum,
  type Tensor,
  zeros,
} from '../../src/dsl/index.ts'
import { type Backend, openSession } from '../../src/engine/backend.ts'
import type { EngineError } from '../../src/engine/error.ts'
import { exportOnnx } from '../../src/engine/onnx/index.ts'
import { outOfMemory, shortageOf } from '../../src/engine/out-of-memory.ts'
import { pickEngine } from '../../src/engine/pick.ts'
import { compiledByXla, inPrecision, weightsAsStored } from '../../src/engine/precision.ts'
import type { Engine, LoadOptions, Session, TensorValue, WeightSource } from '../../src/engine/session.ts'
import { loadTensorflow, tensorflowEngine, writeSavedModel } from '../../src/engine/tensorflow/index.ts'
import { chooseVariant, freshState, tensorValue } from '../../src/engine/values.ts'
import { inWorker } from '../../src/engine/worker/index.ts'
import { presentEngines } from '../support/engines.ts'
import { loader, moduleAt } from '../support/program.ts'

const must = async <A>(task: TaskEither<EngineError, A>): Promise<A> => {
  const got = await task()
  if (isLeft(got)) throw new Error(`${got.left._tag}: ${got.left.message}`)
  return got.right
}
const fault = async (task: TaskEither<EngineError, unknown>): Promise<EngineError> => {
  const got = await task()
  if (isRight(got)) throw new Error('it did not fail')
  return got.left
}

const A = axis('a', 4)
const doubling = program({
  name: 'doubling',
  functions: {
    f: fixed(() => {
      const w = state('w', [A], normal(1))
      return {
        outputs: { y: mul(input('x', [A]), 2) },
        next: new Map<string, Tensor>([
          ['w', add(w, 1)],
          ['n', add(state('n', [], zeros), 1)],
        ]),
      }
    }),
  },
})
const x = tensorValue('float32', [4], [1, 2, 3, 4])

/** What is no record, and what it is called. */
const noRecords: readonly (readonly [unknown, string])[] = [
  [undefined, 'undefined'],
  [null, 'null'],
  ['x', "'x'"],
  [5, '5'],
  [() => ({}), 'a function; is it to be called first?'],
  [[1, 2], 'a list of 2'],
  [Promise.resolve({}), 'a promise; await it first'],
  [right({}), 'an Either; take what is on its right side'],
]

for (const engine of await presentEngines()) {
  const faults = suite(`${engine.name}: faults`)
  const open = (p: Program, options?: LoadOptions): Promise<Session> => must(engine.load(p, options))

  faults('what is no value, or no map, is BadInput on every way in', async () => {
    const s = await open(doubling)
    const none: readonly unknown[] = [
      null,
      5,
      'x',
      () => 1,
      {},
      { shape: [4], dtype: 'float32' },
      { dtype: 'float32', data: new Float32Array(4) },
      { shape: 4, dtype: 'float32', data: new Float32Array(4) },
      { shape: [4], dtype: 'float32', data: [1, 2, 3, 4] },
      { shape: [4], dtype: 'float64', data: new Float64Array(4) },
      { shape: [4], dtype: 'float32', data: new Float64Array(4) },
      { shape: [Number.NaN], dtype: 'float32', data: new Float32Array(4) },
    ]
    for (const v of none) {
      const called = await fault(s.call('f', { x: v as TensorValue }))
      assert.ok(['BadInput', 'NoVariant'].includes(called._tag), called.message)
      assert.match(called.message, "input 'x'")
      const written = await fault(s.write(new Map([['w', v as TensorValue]])))
      assert.is(written._tag, 'BadInput')
      assert.match(written.message, "state 'w'")
    }
    assert.match((await fault(s.call('f', { x: undefined as never }))).message, "missing input 'x'")
    for (const v of [null, undefined, 7, {}, []]) {
      assert.is((await fault(s.write(v as never)))._tag, 'BadInput')
      assert.is((await fault(s.restore(v as never)))._tag, 'BadInput')
      assert.is((await fault(s.call('f', v as never)))._tag, 'BadInput')
      if (v !== undefined && !Array.isArray(v)) assert.is((await fault(s.read(v as never)))._tag, 'BadInput')
      assert.is((await fault(s.call(v as never, { x })))._tag, 'UnknownFunction')
    }
    const hostile = new Proxy(
      {},
      {
        ownKeys: () => {
          throw new Error('not for you')
        },
      },
    )
    assert.match((await fault(s.call('f', hostile))).message, 'not for you')
    assert.is((await must(s.call('f', { x }))).y!.data[3], 8)
    await must(s.close())
  })

  faults(
    'what is no program, no options or no source of values is refused in words, in a thread too',
    async () => {
      const loads = [engine, inWorker(engine), (inPrecision(engine, 'float32') as Right<Engine>).right]
      for (const { load } of loads) {
        for (const [given, what] of noRecords) {
          const program = await fault(load(given as never))
          assert.is(program._tag, 'BadInput', program.message)
          assert.match(program.message, `load: the program is ${what}; give `)
          if (given === undefined) continue
          const options = await fault(load(doubling, given as never))
          assert.is(options._tag, 'BadOption', options.message)
          assert.match(options.message, `load, settings: it is ${what}; give `)
          const values = await fault(load(doubling, { values: given as never }))
          assert.is(values._tag, 'BadOption', values.message)
          assert.match(values.message, `values is ${what}; it must be `)
        }
        assert.match((await fault(load({} as never))).message, 'load: the program is a record')
        assert.match((await fault(load(doubling, { values: {} as never }))).message, 'values is a record')
      }
    },
  )

  faults('names that objects have of their own are names as others', async () => {
    for (const name of ['__proto__', 'constructor', 'toString', 'p0', ' ', 'ünï cödé/1', 'a:0']) {
      const p = program({
        name: 'odd',
        functions: {
          [name]: fixed(() => {
            const w = state(name, [A], zeros)
            const y = add(input(name, [A]), w)
            return { outputs: Object.fromEntries([[name, y]]), next: new Map<string, Tensor>([[name, y]]) }
          }),
        },
      })
      const s = await open(p)
      const missing = await fault(s.call(name, {}))
      assert.match(missing.message, `missing input '${name}'`)
      const feed = (): Record<string, TensorValue> => Object.fromEntries([[name, x]])
      await must(s.call(name, feed()))
      const out = await must(s.call(name, feed()))
      assert.equal(Object.keys(out), [name])
      const [y] = Object.values(out)
      assert.equal([...y!.data], [2, 4, 6, 8], name)
      assert.equal([...(await must(s.read([name]))).get(name)!.data], [2, 4, 6, 8])
      await must(s.close())
    }
  })

  faults('a snapshot that is not whole is refused with what it lacks, and changes nothing', async () => {
    const s = await open(doubling)
    const kept = await must(s.snapshot())
    const part = { states: new Map([['w', tensorValue('float32', [4], [0, 0, 0, 0])]]) }
    const e = await fault(s.restore(part))
    assert.is(e._tag, 'BadInput')
    assert.match(e.message, "lacks 1 of the 2 states of program 'doubling': 'n'")
    assert.equal(await must(s.snapshot()), kept)
    await must(s.close())
  })

  faults('options that mean nothing are refused', async () => {
    for (const threads of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '2' as never, null as never]) {
      const e = await fault(engine.load(doubling, { threads }))
      assert.is(e._tag, 'BadOption')
      assert.match(e.message, 'it must be a positive integer')
    }
    for (const seed of [0.5, Number.NaN, Number.POSITIVE_INFINITY, '1' as never, null as never])
      assert.match((await fault(engine.load(doubling, { seed }))).message, 'it must be an integer')
    await must((await open(doubling, { seed: -3 })).close())
  })

  faults('timers and signals are served while calls follow one another', async () => {
    const s = await open(doubling)
    await must(s.call('f', { x }))
    let [ticks, signals, done] = [0, 0, 0]
    const seen: number[] = []
    const timer = setInterval(() => ticks++, 1)
    const hear = (): void => {
      signals++
      seen.push(done)
    }
    process.on('SIGUSR2', hear)
    try {
      process.kill(process.pid, 'SIGUSR2')
      for (; done < 200; done++) await must(s.call('f', { x }))
    } finally {
      clearInterval(timer)
      process.off('SIGUSR2', hear)
    }
    assert.ok(ticks > 0, 'no timer ran')
    assert.is(signals, 1)
    assert.ok(seen[0]! < 200, 'the signal was heard after the calls')
    await must(s.close())
  })

  faults(
    'initial values: a map is copied, a source is read key by key and its arrays are kept or copied',
    async () => {
      const given = new Map([
        ['w', tensorValue('float32', [4], [1, 2, 3, 4])],
        ['of another program', x],
      ])
      const s = await open(doubling, { values: given })
      given.get('w')!.data.fill(9)
      assert.equal([...(await must(s.read(['w']))).get('w')!.data], [1, 2, 3, 4])
      await must(s.close())
      const asked: string[] = []
      const source: WeightSource = {
        keys: ['w', 'of another program'],
        read: (key) => async () => {
          asked.push(key)
          return right(tensorValue('float32', [4], [5, 6, 7, 8]))
        },
      }
      const t = await open(doubling, { values: source })
      assert.equal(asked, ['w'])
      assert.equal([...(await must(t.read(['w']))).get('w')!.data], [5, 6, 7, 8])
      await must(t.call('f', { x }))
      assert.equal([...(await must(t.read(['w']))).get('w')!.data], [6, 7, 8, 9])
      assert.equal([...(await must(t.read(['n']))).get('n')!.data], [1])
      await must(t.close())
      const failing: WeightSource = {
        keys: ['w'],
        read: () => async () => left(new Error('the disk is gone')),
      }
      assert.match(
        (await fault(engine.load(doubling, { values: failing }))).message,
        /state 'w' cannot be read: the disk is gone/,
      )
      const wrong: WeightSource = {
        keys: ['w'],
        read: () => async () => right(tensorValue('float32', [3], [1, 2, 3])),
      }
      assert.match(
        (await fault(engine.load(doubling, { values: wrong }))).message,
        /state 'w' has shape \[4\]/,
      )
      const throwing: WeightSource = {
        keys: ['w'],
        read: () => {
          throw new Error('surprise')
        },
      }
      assert.match((await fault(engine.load(doubling, { values: throwing }))).message, 'surprise')
    },
  )
  // where the system promises memory that it has not, asking for it is no fault
  if (process.platform === 'linux' && readFileSync('/proc/sys/vm/overcommit_memory', 'utf8').trim() !== '1')
    faults('a program whose states fit into no memory is refused before it is compiled', async () => {
      const [row, slot] = [axis('row', 4), axis('slot', 1e14)]
      const huge = program({
        name: 'huge',
        functions: { f: fixed(() => ({ outputs: { y: sum(state('cache', [row, slot], zeros), 'slot') } })) },
      })
      const e = await fault(engine.load(huge))
      assert.is(e._tag, 'OutOfMemory')
      assert.match(
        e.message,
        /^loading program 'huge': its states take 1490116\.1 GiB, and there are [\d.]+ GiB; the largest is 'cache' \(row 4 × slot 100000000000000\)/,
      )
    })

  faults('a product that fits into no memory is OutOfMemory, and the session goes on', async () => {
    const [Batch, Left, Right] = [axis('batch', 16), axis('left', 600_000), axis('right', 600_000)]
    const p = program({
      name: 'large',
      functions: {
        f: fixed(() => {
          const x = input('x', [Batch, Left])
          return { outputs: { y: sum(sin(contract(x, reshape(x, [Batch, Right]), 'batch')), 'left') } }
        }),
        g: fixed(() => ({ outputs: { y: mul(input('x', [A]), 2) } })),
      },
    })
    const s = await open(p)
    const e = await fault(
      s.call('f', { x: tensorValue('float32', [16, 600_000], new Float32Array(9_600_000)) }),
    )
    assert.is(e._tag, 'OutOfMemory')
    assert.match(
      e.message,
      // xla asks once for all that a call needs
      engine.name === 'xla'
        ? /function 'f' found no memory; its inputs: x \[16, 600000\]. [1-9]\d{3}\.\d GiB were asked for/
        : "function 'f' found no memory; its inputs: x [16, 600000]. 1341.1 GiB were asked for",
    )
    assert.match(e.message, "'batch' of 1 in place of 16")
    assert.is((await must(s.call('g', { x }))).y!.data[0], 2)
    await must(s.close())
  })
  faults.run()
}

/** A backend over a plain map that keeps account of what is written; some of its methods may be others. */
const recorded = (p: Program, others: Partial<Backend> = {}) => {
  const held = new Map<string, TensorValue>()
  const writes: (readonly string[])[] = []
  const backend: Backend = {
    name: 'onnx',
    program: p,
    empty: [...p.states.keys()],
    groupBytes: 64,
    call: async () => right({}),
    read: async (specs) => new Map(specs.map((s) => [s.key, held.get(s.key)!])),
    write: async (values) => {
      writes.push([...values.keys()])
      for (const [k, v] of values) held.set(k, v)
    },
    close: async () => undefined,
    ...others,
  }
  return { backend, writes, held }
}

const backends = suite('a session over any backend')

const many = program({
  name: 'many',
  functions: {
    one: fixed(() => ({ outputs: { y: add(state('a', [A], normal(1)), 1) } })),
    two: fixed(() => ({
      outputs: { y: add(state('b', [A], normal(1)), state('c', [A], normal(2))) },
    })),
    rest: fixed(() => ({
      outputs: {
        y: add(add(state('d', [A], normal(1)), state('e', [A], normal(1))), state('f', [A], normal(1))),
      },
    })),
  },
})

backends('a state is drawn when it is first needed, once, and never where it was written first', async () => {
  const { backend, writes, held } = recorded(many)
  const s = await must(openSession(backend, { seed: 5 }))
  assert.equal(writes, [])
  await must(s.call('one', {}))
  assert.equal(writes, [['a']])
  assert.equal(held.get('a')!.data, freshState(many.states.get('a')!, 5))
  await must(s.call('one', {}))
  await must(s.write(new Map([['b', x]])))
  await must(s.call('two', {}))
  assert.equal(writes, [['a'], ['b'], ['c']])
  assert.equal(held.get('b')!.data, x.data)
  await must(s.read(['d']))
  // in groups of at most 64 bytes, four states of four numbers each
  await must(s.snapshot())
  assert.equal(writes, [['a'], ['b'], ['c'], ['d'], ['e', 'f']])
  for (const key of 'acdef') assert.equal(held.get(key)!.data, freshState(many.states.get(key)!, 5), key)
})

backends('what loading was given is never drawn', async () => {
  const { backend, writes } = recorded(many)
  const values: WeightSource = { keys: ['a', 'b', 'c', 'd', 'e', 'f'], read: () => async () => right(x) }
  const s = await must(openSession(backend, { values }))
  assert.equal(writes, [
    ['a', 'b', 'c', 'd'],
    ['e', 'f'],
  ])
  await must(s.snapshot())
  assert.is(writes.length, 2)
})

backends('no method throws or rejects, whatever the library throws', async () => {
  const things: readonly unknown[] = [
    new Error('broken'),
    'text',
    undefined,
    null,
    Symbol('s'),
    Object.create(null),
  ]
  for (const thing of things)
    for (const late of [false, true]) {
      const breaks = (): never | Promise<never> => {
        if (late) return Promise.reject(thing)
        throw thing
      }
      const others = { call: breaks, read: breaks, write: breaks, close: breaks } as Partial<Backend>
      const { backend } = recorded(many, { ...others, empty: [] })
      const s = await must(openSession(backend))
      const kept = { states: new Map([...many.states.keys()].map((k) => [k, x])) }
      for (const task of [
        s.call('one', {}),
        s.read(),
        s.write(new Map([['a', x]])),
        s.snapshot(),
        s.restore(kept),
        s.close(),
      ]) {
        const e = await fault(task)
        assert.is(e._tag, 'Failed')
        if (thing instanceof Error) assert.match(e.message, 'broken')
      }
      await must(s.close())
      assert.is((await fault(s.read()))._tag, 'Closed')
      // what is drawn or given at the beginning has to be written, too
      const writing = recorded(many, { write: breaks as Backend['write'] }).backend
      assert.is((await fault(openSession(writing, { values: new Map([['a', x]]) })))._tag, 'Failed')
      assert.is((await fault((await must(openSession(writing))).call('one', {})))._tag, 'Failed')
    }
})

backends(
  'a shortage of memory says what was asked, for which inputs, what is free and what would fit',
  async () => {
    const p = program({
      name: 'batches',
      functions: {
        step: buckets([1, 16], (n) => ({
          outputs: { y: mul(input('pixels', [axis('batch', n), axis('pixel', 1000)]), 2) },
        })),
      },
    })
    const feed = (n: number) => ({ pixels: tensorValue('float32', [n, 1000], new Float32Array(n * 1000)) })
    const words = [
      'Non-zero status code returned while running Mul node. Failed to allocate memory for requested buffer of size 17592186044416',
      'OOM when allocating tensor with shape[1048576,4194304] and type float on /job:localhost/replica:0/task:0/device:CPU:0 by allocator cpu',
    ]
    for (const message of words) {
      for (const call of [
        async () => {
          throw new Error(message)
        },
        async () => left({ _tag: 'Failed', message: 'at a node', cause: new Error(message) }),
      ] as Backend['call'][]) {
        const s = await must(openSession(recorded(p, { call }).backend))
        const e = await fault(s.call('step', feed(16)))
        assert.is(e._tag, 'OutOfMemory')
        assert.match(e.message, /function 'step' found no memory; its inputs: pixels \[16, 1000\]/)
        assert.match(e.message, '16384.0 GiB were asked for')
        assert.match(e.message, /of this machine's [\d.]+ GiB, [\d.]+ [GM]iB are free/)
        assert.match(e.message, "'batch' of 1 in place of 16")
        assert.match((await fault(s.call('step', feed(1)))).message, 'Its batch is 1 already')
      }
    }
    const variant = p.functions.get('step')![1]!
    const inputs = new Map(Object.entries(feed(16)))
    const told = (text: string, free: number): string =>
      outOfMemory('it', new Error(text), { variant, inputs }, free)!.message
    assert.match(
      told('requested buffer of size 8000000000: failed to allocate memory', 2e9),
      "'batch' of 4 in place of 16",
    )
    assert.match(told('std::bad_alloc', 2e9), "'batch' of 8 in place of 16")
    assert.match(told('std::bad_alloc', 2e9), 'How much was asked for is not said')
    assert.match(
      told('OOM when allocating tensor with shape[8] on device:GPU:0', 2e9),
      /on GPU:0; .*'batch' of 8/,
    )
    for (const harmless of ['a room with a balloc', 'the shape [4] does not fit', 'BOOM', 'zoom'])
      assert.is(shortageOf(new Error(harmless)), undefined, harmless)
    for (const e of [new RangeError('Array buffer allocation failed'), new Error('ResourceExhausted: x')])
      assert.ok(shortageOf(e))
  },
)
backends.run()

const edges = suite('engines: what is given beside a session')
edges('an engine, a program, a name or a value of another kind is refused in words', async () => {
  for (const [given, what] of noRecords) {
    assert.throws(() => inWorker(given as never), `inWorker, engine: it is ${what}; give `)
    for (const [name, told] of [
      ['inPrecision', inPrecision(given as never, 'float32')],
      ['compiledByXla', compiledByXla(given as never)],
      ['weightsAsStored', weightsAsStored(given as never)],
    ] as const)
      assert.match((told as Left<EngineError>).left.message, `${name}, engine: it is ${what}; give `)
    const none = `the program is ${what}; give `
    for (const refused of [
      exportOnnx(given as never, 'f', 0, new Map()),
      chooseVariant(given as never, 'f', { x }),
    ])
      assert.match((refused as Left<EngineError>).left.message, none)
    const saved = await writeSavedModel(given as never, new Map(), 'nowhere').catch((e: Error) => e)
    assert.match((saved as Error).message, none)
    if (!Array.isArray(given))
      assert.throws(() => tensorValue('float32', given as never, [1]), `shape: it is ${what}; give `)
  }
  assert.throws(() => tensorValue('float32', [1], null as never), 'numbers: it is null; give ')
  const odd = exportOnnx(doubling, 'f', undefined as never, new Map()) as Left<EngineError>
  assert.match(
    odd.left.message,
    "function 'f' has 1 compiled sizes, numbered from 0; there is no number undefined",
  )
  const meant = await fault(pickEngine('onxn' as never))
  assert.is(meant._tag, 'BadOption')
  assert.match(
    meant.message,
    "there is no engine 'onxn'; there are auto, tensorflow, onnx, xla. Did you mean 'onnx'?",
  )
})
edges.run()

const threads = suite('tensorflow: threads')
const loaded = loadTensorflow()
if (isRight(loaded)) {
  threads('are those of the process: others are refused, with what to do', async () => {
    const { threads: n } = loaded.right
    const engine = await must(tensorflowEngine())
    await must((await must(engine.load(doubling, { threads: n }))).close())
    const e = await fault(engine.load(doubling, { threads: n + 1 }))
    assert.is(e._tag, 'BadOption')
    assert.match(e.message, `TensorFlow was loaded with ${n}`)
    assert.match(e.message, `TF_NUM_INTRAOP_THREADS=${n + 1}`)
    assert.is((await fault(tensorflowEngine({ threads: n + 1 })))._tag, 'BadOption')
    await must(tensorflowEngine({ threads: n }))
    for (const wrong of [0, -1, 1.5, Number.NaN]) {
      const odd: Left<EngineError> = loadTensorflow({ threads: wrong }) as Left<EngineError>
      assert.is(odd.left._tag, 'BadOption')
    }
  })
  if (process.platform === 'linux')
    threads('are made in the number that was asked for', () => {
      const made = (n: number): number => {
        const script = `
          const { readdirSync, readFileSync } = await import('node:fs')
          const { loadTensorflow } = await import(${JSON.stringify(moduleAt('src/engine/tensorflow/load.ts'))})
          loadTensorflow({ threads: ${n} })
          const names = readdirSync('/proc/self/task').map((t) => readFileSync('/proc/self/task/' + t + '/comm', 'utf8').trim())
          process.stdout.write(String(names.filter((x) => x === 'tf_Compute').length))`
        const { stdout, stderr } = spawnSync(
          process.execPath,
          [...loader, '--input-type=module', '-e', script],
          {
            cwd: fileURLToPath(new URL('../..', import.meta.url)),
            encoding: 'utf8',
          },
        )
        assert.match(stdout, /^\d+$/, stderr)
        return Number(stdout)
      }
      assert.equal([made(1), made(5)], [1, 5])
    })
}
threads.run()
