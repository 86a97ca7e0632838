/** An engine in a thread of its own: the same session, and a main thread that goes on. */
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import type { Worker } from 'node:worker_threads'
import { type Either, isLeft, isRight } from 'fp-ts/lib/Either.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  add,
  axis,
  buckets,
  contract,
  fixed,
  gather,
  input,
  mul,
  node,
  normal,
  type Program,
  program,
  scalar,
  state,
  type Tensor,
  tanh,
  topological,
  total,
  zeros,
} from '../../src/dsl/index.ts'
import {
  type Compiling,
  type EngineError,
  inWorker,
  type LoadOptions,
  type Session,
  type TensorValue,
  tensorValue,
} from '../../src/engine/index.ts'
import { flatten, unflatten } from '../../src/engine/worker/flat-graph.ts'
import { startThread } from '../../src/engine/worker/thread.ts'
import { callMemory } from '../../src/engine/worker/transfer.ts'
import { decode, qwen3Model } from '../../src/models/index.ts'
import { nextToken, orThrow, update } from '../../src/train/index.ts'
import { presentEngines } from '../support/engines.ts'
import { loader, moduleAt } from '../support/program.ts'
import { programOf, tinyConversation, tinyModel, tinyProcessor, tinyStage } from '../support/tiny.ts'

const engines = await presentEngines()

const must = async <A>(task: TE.TaskEither<EngineError, A>): Promise<A> => {
  const got = await task()
  if (isLeft(got)) throw new Error(`${got.left._tag}: ${got.left.message}`)
  return got.right
}
const fault = async (task: TE.TaskEither<EngineError, unknown>): Promise<EngineError> => {
  const got: Either<EngineError, unknown> = await task()
  if (isRight(got)) throw new Error('it did not fail')
  return got.left
}
const bytes = (v: TensorValue): Buffer => Buffer.from(v.data.buffer, v.data.byteOffset, v.data.byteLength)
const sameBits = (got: ReadonlyMap<string, TensorValue>, want: ReadonlyMap<string, TensorValue>): void => {
  assert.equal([...got.keys()], [...want.keys()])
  for (const [key, v] of want) {
    assert.equal([got.get(key)!.shape, got.get(key)!.dtype], [v.shape, v.dtype], key)
    assert.ok(bytes(got.get(key)!).equals(bytes(v)), key)
  }
}
const vector = (...numbers: number[]): TensorValue => tensorValue('float32', [numbers.length], numbers)

const N = axis('n', 4)
/** Every kind of array: inputs and states of all dtypes, a literal, an index. */
const kinds = program({
  name: 'kinds',
  functions: {
    step: fixed(() => {
      const w = state('w', [N], normal(1))
      const count = state('count', [], zeros, 'int32')
      const flag = state('flag', [N], zeros, 'bool')
      const x = input('x', [N])
      const y = add(mul(w, x), 0.5)
      return {
        outputs: { y, row: gather(w, input('at', [axis('m', 2)], 'int32')), flag, x },
        next: new Map<string, Tensor>([
          ['w', add(w, x)],
          ['count', add(count, 1)],
        ]),
      }
    }),
  },
})
const at = (...indices: number[]): TensorValue => tensorValue('int32', [2], indices)

/** A product that takes a while. */
const heavy = (size: number): Program => {
  const [A, B, C] = [axis('a', size), axis('b', size), axis('c', size)] as const
  return program({
    name: 'heavy',
    functions: {
      f: fixed(() => ({
        outputs: { y: contract(input('x', [A, B]), state('w', [B, C], normal(1)), 'b') },
      })),
    },
  })
}

const threads = suite('threads of engines')
threads('what is thrown there is thrown here, and the thread answers what is asked next', async () => {
  const thread = startThread()
  const asked = await Promise.allSettled([thread.ask('read', { keys: [] }), thread.ask('close', {})])
  for (const a of asked) {
    assert.is(a.status, 'rejected')
    assert.match(String((a as PromiseRejectedResult).reason), 'no program was opened in this thread')
  }
  await thread.end()
  assert.ok(thread.ended())
})
threads.run()

for (const direct of engines) {
  const test = suite(`${direct.name} in a thread`)
  const threaded = inWorker(direct)
  const using = async <A>(p: Program, body: (s: Session) => Promise<A>, o?: LoadOptions): Promise<A> => {
    const s = await must(threaded.load(p, o))
    try {
      return await body(s)
    } finally {
      await must(s.close())
    }
  }

  test('training gives the bits of a session in this thread: losses, gradients, weights, moments', async () => {
    const stage = tinyStage({ train: [tinyModel.parts.adapter, tinyModel.parts.language] })
    const { collate } = nextToken(tinyModel, tinyProcessor, { rows: 4, tokens: 32 })
    const batches = [0, 4, 8].map((i) => collate([0, 1, 2, 3].map((k) => tinyConversation(i + k))))
    const trained = async (s: Session) => {
      const told = []
      for (const b of batches) told.push(await update(s, b, 1e-2))
      const kept = await orThrow(s.snapshot())
      await update(s, batches[0]!, 1e-2)
      await orThrow(s.restore(kept))
      return { told, states: await orThrow(s.read()) }
    }
    const s = await must(direct.load(programOf(stage), { seed: 7 }))
    const want = await trained(s)
    await must(s.close())
    await using(
      programOf(stage),
      async (t) => {
        assert.equal([t.engine, threaded.version], [direct.name, direct.version])
        const got = await trained(t)
        assert.equal(got.told, want.told)
        sameBits(got.states, want.states)
      },
      { seed: 7 },
    )
  })

  test('generation reads the weights that another function has just changed', async () => {
    const config = {
      ...{ vocabSize: 30, hiddenSize: 16, intermediateSize: 24, layers: 1, heads: 4, kvHeads: 4, headDim: 8 },
      ...{ ropeTheta: 100, epsilon: 1e-6, tied: true },
    }
    const model = qwen3Model('m', config)
    const weight = 'model.layers.0.mlp.gate_proj.weight'
    const decoding = fixed(() => decode(model, { rows: 2, prompt: 4, capacity: 8 }))
    const { axes, init } = program({ name: 'p', functions: { decoding } }).states.get(weight)!
    const grow = fixed(() => ({ outputs: {}, next: new Map([[weight, mul(state(weight, axes, init), 2)]]) }))
    const p = program({ name: 'p', functions: { decode: decoding, grow } })
    const inputs = {
      input_ids: tensorValue('int32', [2], [3, 7]),
      position: tensorValue('int32', [2], [0, 2]),
    }
    const logits = async (s: Session): Promise<readonly TensorValue[]> => {
      const before = await orThrow(s.call('decode', inputs))
      await orThrow(s.call('grow', {}))
      return [before.logits!, (await orThrow(s.call('decode', inputs))).logits!]
    }
    const s = await must(direct.load(p, { seed: 3 }))
    const want = await logits(s)
    await must(s.close())
    assert.not(bytes(want[0]!).equals(bytes(want[1]!)))
    await using(
      p,
      async (t) => {
        const got = await logits(t)
        assert.ok(got.every((g, i) => bytes(g).equals(bytes(want[i]!))))
      },
      { seed: 3 },
    )
  })

  test('what the caller goes on using stays the caller’s: inputs, written values, snapshots', () =>
    using(kinds, async (s) => {
      const whole = Float32Array.of(9, 1, 2, 3, 4, 9)
      const part: TensorValue = { shape: [4], dtype: 'float32', data: whole.subarray(1, 5) }
      const w = vector(1, 1, 2, 2)
      const flag = tensorValue('bool', [4], [1, 0, 1, 0])
      await must(
        s.write(
          new Map([
            ['w', w],
            ['flag', flag],
          ]),
        ),
      )
      const kept = await must(s.snapshot())
      for (const n of [1, 2]) {
        const called = s.call('step', { x: part, at: at(3, 0) })()
        const out = await called
        if (isLeft(out)) throw new Error(out.left.message)
        assert.equal([...out.right.y!.data], [1.5, 2.5, 6.5, 8.5])
        assert.equal([...out.right.row!.data], [2, 1])
        assert.equal([...out.right.x!.data], [1, 2, 3, 4])
        assert.equal([...out.right.flag!.data], [1, 0, 1, 0])
        assert.equal([...(await must(s.read(['w']))).get('w')!.data], [2, 3, 5, 6])
        await must(s.restore(kept))
        assert.is(kept.states.get('w')!.data.length, 4, `restored ${n} times`)
      }
      assert.equal([...whole], [9, 1, 2, 3, 4, 9])
      assert.equal([...w.data], [1, 1, 2, 2])
      // results belong to whoever asked: the session does not see what is done to them
      const read = await must(s.read())
      ;(read.get('w')!.data as Float32Array).fill(7)
      assert.equal([...(await must(s.read(['w']))).get('w')!.data], [1, 1, 2, 2])
    }))

  test('shared memory is taken as it is, and stays shared', () =>
    using(kinds, async (s) => {
      const shared = new Float32Array(new SharedArrayBuffer(16))
      shared.set([1, 2, 3, 4])
      const x: TensorValue = { shape: [4], dtype: 'float32', data: shared }
      await must(s.write(new Map([['w', x]])))
      const { y } = await must(s.call('step', { x, at: at(0, 1) }))
      assert.equal([...y!.data], [1.5, 4.5, 9.5, 16.5])
      assert.equal([...shared], [1, 2, 3, 4], 'the state is a copy')
      shared.fill(0)
      assert.equal([...(await must(s.read(['w']))).get('w')!.data], [2, 4, 6, 8])
    }))

  test('calls under way at once and one after another keep what they were given, however often their memory is used', () => {
    const M = axis('m', 2 ** 15)
    const p = program({
      name: 'large',
      functions: {
        f: fixed(() => {
          const [x, i] = [input('x', [M]), input('i', [M], 'int32')]
          return { outputs: { x, twice: mul(x, 2), i, flag: input('flag', [M], 'bool') }, next: new Map() }
        }),
      },
    })
    return using(p, async (s) => {
      const from = (n: number) => (_: unknown, k: number) => (k % 101) + 1000 * n
      const given = (n: number) => ({
        x: tensorValue('float32', [M.size], Float32Array.from({ length: M.size }, from(n))),
        i: tensorValue('int32', [M.size], Int32Array.from({ length: M.size }, from(n))),
        flag: tensorValue(
          'bool',
          [M.size],
          Uint8Array.from({ length: M.size }, (_, k) => ((k + n) % 3) & 1),
        ),
      })
      const kept = []
      for (const round of [0, 1, 2]) {
        const numbers = [0, 1, 2, 3, 4, 5].map((n) => 6 * round + n)
        kept.push(...(await Promise.all(numbers.map((n) => must(s.call('f', given(n)))))))
      }
      kept.forEach((got, n) => {
        const want = given(n)
        for (const name of ['x', 'i', 'flag'] as const)
          assert.ok(bytes(got[name]!).equals(bytes(want[name])), `${name} of call ${n}`)
        assert.is(got.twice!.data[100], 2 * want.x.data[100]!)
      })
    })
  })

  test('weights are read from a source one by one and moved; a map’s are copied', async () => {
    const given = { w: vector(1, 2, 3, 4), flag: tensorValue('bool', [4], [0, 1, 1, 0]) }
    const asked: string[] = []
    const source = {
      keys: ['other', 'w', 'flag'],
      read: (key: string) => {
        asked.push(key)
        return TE.right(given[key as 'w'])
      },
    }
    await using(
      kinds,
      async (s) => {
        assert.equal(asked, ['w', 'flag'])
        assert.equal([given.w.data.length, given.flag.data.length], [0, 0])
        const states = await must(s.read())
        assert.equal([...states.get('w')!.data], [1, 2, 3, 4])
        assert.equal([...states.get('flag')!.data], [0, 1, 1, 0])
      },
      { values: source },
    )
    const w = vector(4, 3, 2, 1)
    await using(
      kinds,
      async (s) => {
        assert.equal([...(await must(s.read(['w']))).get('w')!.data], [4, 3, 2, 1])
        assert.equal([...w.data], [4, 3, 2, 1])
      },
      { values: new Map([['w', w]]) },
    )
    const unread = threaded.load(kinds, {
      values: { keys: ['w'], read: () => TE.left(new Error('the file is gone')) },
    })
    const e = await fault(unread)
    assert.is(e._tag, 'BadInput')
    assert.match(e.message, "state 'w' cannot be read: the file is gone")
  })

  test('errors cross as themselves, with the user’s line', async () => {
    await using(kinds, async (s) => {
      const d = await must(direct.load(kinds))
      const calls: readonly ((of: Session) => TE.TaskEither<EngineError, unknown>)[] = [
        (of) => of.call('strep', {}),
        (of) => of.call('step', {}),
        (of) => of.call('step', { x: vector(1, 2), at: at(0, 0) }),
        (of) => of.call('step', { x: vector(1, 2, 3, 4), at: at(0, 4) }),
        (of) => of.read(['v']),
        (of) => of.write(new Map([['w', vector(1)]])),
        (of) => of.restore({ states: new Map() }),
      ]
      for (const call of calls) assert.equal(await fault(call(s)), await fault(call(d)))
      assert.match((await fault(calls[3]!(s))).where ?? '', /worker\.test\.ts:\d+/)
      await must(d.close())
    })
    // made by hand, because the language refuses it; what the native library says of it names the node's line
    const x = input('x', [N], 'bool')
    const line = 'mine.ts:12:7'
    const y = node({ op: 'unary', fn: 'exp' }, [x], x.axes, 'bool', { line })
    const refused = program({ name: 'refused', functions: { f: fixed(() => ({ outputs: { y } })) } })
    const x1 = { x: tensorValue('bool', [4], [0, 0, 0, 0]) }
    const told = async (engine: typeof direct): Promise<EngineError> => {
      const s = await engine.load(refused)()
      if (isLeft(s)) return s.left
      const e = await fault(s.right.call('f', x1))
      await must(s.right.close())
      return e
    }
    const [here, there] = [await told(direct), await told(threaded)]
    assert.is(there._tag, 'Refused')
    assert.equal({ ...there, cause: 0 }, { ...here, cause: 0 })
    assert.is(there.where, line)
    assert.is((there.cause as Error).message, (here.cause as Error).message)
    assert.is((await fault(threaded.load(kinds, { seed: 0.5 })))._tag, 'BadOption')
  })

  test('a function of several sizes is called at any of them first', async () => {
    const sizes = [2, 3, 5]
    const sums = program({
      name: 'sums',
      functions: {
        f: buckets(sizes, (n) => {
          const Row = axis('row', n)
          const w = state('w', [N], normal(1))
          return { outputs: { y: mul(input('x', [Row]), total(w)), n: scalar(n) } }
        }),
      },
    })
    const results = async (s: Session) => {
      const all: TensorValue[] = []
      for (const n of [5, 2, 5, 3, 2]) {
        const { y, n: told } = await must(s.call('f', { x: vector(...Array(n).fill(n)) }))
        assert.is(told!.data[0], n)
        all.push(y!)
      }
      return all
    }
    const here = await must(direct.load(sums, { seed: 2 }))
    assert.equal(await using(sums, results, { seed: 2 }), await results(here))
    await must(here.close())
  })

  test('timers run while a call computes; in this thread they wait', async () => {
    const size = 1024
    const p = heavy(size)
    const x = { x: { shape: [size, size], dtype: 'float32' as const, data: new Float32Array(size * size) } }
    /** How often a timer fired during calls that take at least 300 ms together. */
    const ticks = async (s: Session): Promise<number> => {
      await must(s.call('f', x))
      let fired = 0
      let longest = 0
      const timer = setInterval(() => fired++, 2)
      const started = performance.now()
      let most = 0
      while (performance.now() - started < 300) {
        const before = fired
        const called = performance.now()
        await must(s.call('f', x))
        most = Math.max(most, fired - before)
        longest = Math.max(longest, performance.now() - called)
      }
      clearInterval(timer)
      assert.ok(longest > 10, `a call takes ${longest} ms`)
      return most
    }
    const s = await must(direct.load(p))
    // xla computes in threads of its own, whoever calls it
    if (direct.name !== 'xla') assert.ok((await ticks(s)) <= 2)
    await must(s.close())
    assert.ok((await using(p, ticks)) > 2)
  })

  test('a thread that dies is an error of every call that waits and of every later one; closing is none', async () => {
    const folders = () => readdirSync(tmpdir()).filter((f) => f.startsWith(`sailwright-tf-${process.pid}-`))
    const before = folders()
    let worker: Worker | undefined
    process.once('worker', (w: Worker) => {
      worker = w
    })
    const s = await must(inWorker(direct, { rest: 0 }).load(heavy(1024)))
    const x = { shape: [1024, 1024], dtype: 'float32' as const, data: new Float32Array(1024 * 1024) }
    const calls = [1, 2, 3].map(() => s.call('f', { x })())
    await new Promise((go) => setTimeout(go, 5))
    await worker!.terminate()
    // the first may have ended on a machine with much to do
    const [, ...waiting] = await Promise.all(calls)
    for (const called of [...waiting, await s.read()()]) {
      assert.ok(isLeft(called))
      assert.is(called.left._tag, 'Failed')
      assert.match(called.left.message, "the engine's thread has ended: exit code 1")
    }
    await must(s.close())
    assert.is((await fault(s.read()))._tag, 'Closed')
    assert.equal(folders(), before)
  })

  test('closing ends the thread, after the calls that were started before it', async () => {
    const before = readdirSync(tmpdir()).filter((f) => f.startsWith(`sailwright-tf-${process.pid}-`))
    let worker: Worker | undefined
    process.once('worker', (w: Worker) => {
      worker = w
    })
    const s = await must(inWorker(direct, { rest: 0 }).load(kinds))
    let exits = 0
    worker!.once('exit', () => exits++)
    const called = s.call('step', { x: vector(1, 2, 3, 4), at: at(0, 0) })()
    await must(s.close())
    assert.ok(isRight(await called))
    assert.is(exits, 1)
    await must(s.close())
    assert.is((await fault(s.read()))._tag, 'Closed')
    assert.equal(
      readdirSync(tmpdir()).filter((f) => f.startsWith(`sailwright-tf-${process.pid}-`)),
      before,
    )
  })

  test('sessions that follow one another have a thread in common where seconds count, and nothing of each other', async () => {
    const started: Worker[] = []
    const hear = (w: Worker): void => {
      started.push(w)
      w.once('exit', () => exits++)
    }
    const rows = (rate: number) =>
      program({
        name: 'rows',
        functions: {
          f: fixed(() => {
            const w = state('w', [N], zeros)
            const x = input('x', [N])
            return { outputs: { y: add(w, mul(x, rate)) }, next: new Map([['w', add(w, 1)]]) }
          }),
        },
      })
    const one = inWorker(direct)
    let exits = 0
    process.on('worker', hear)
    try {
      const x = tensorValue('float32', [N.size], new Float32Array(N.size).fill(2))
      const yOf = async (s: Session): Promise<number> => (await must(s.call('f', { x }))).y!.data[0]!
      for (const rate of [3, 5]) {
        const s = await must(one.load(rows(rate)))
        assert.equal([await yOf(s), await yOf(s)], [2 * rate, 2 * rate + 1])
        await must(s.close())
      }
      assert.is(started.length, direct.name === 'xla' ? 1 : 2)
      const both = [await must(one.load(rows(7))), await must(one.load(rows(9)))]
      assert.equal(await Promise.all(both.map(yOf)), [14, 18])
      for (const s of both) await must(s.close())
      assert.is(started.length, direct.name === 'xla' ? 2 : 4)
      // one waits for the next session, no more
      assert.is(exits, direct.name === 'xla' ? 1 : 4)
      // one that has died is not taken
      await Promise.all(started.map((w) => w.terminate()))
      const last = await must(one.load(rows(1)))
      assert.is(await yOf(last), 2)
      await must(last.close())
    } finally {
      process.off('worker', hear)
    }
  })

  if (direct.name === 'xla')
    test('a session that was closed leaves nothing in the thread that the next one takes', async () => {
      const Long = axis('long', 2 ** 25)
      const long = program({
        name: 'long',
        functions: {
          f: fixed(() => {
            const w = state('w', [Long], zeros)
            return { outputs: { n: scalar(1) }, next: new Map([['w', add(w, 1)]]) }
          }),
        },
      })
      const one = inWorker(direct)
      const held = async (): Promise<number> => {
        const s = await must(one.load(long))
        await must(s.call('f', {}))
        await must(s.close())
        return process.memoryUsage.rss()
      }
      const first = await held()
      let last = first
      for (let i = 0; i < 5; i++) last = await held()
      // five times 128 MiB would stay
      assert.ok(last - first < 3 * 2 ** 27, `${(last - first) / 2 ** 20} MiB`)
    })

  test('what is compiled is told of while it lasts, and a second call is not', async () => {
    let y: Tensor = input('x', [N])
    for (let i = 0; i < 300; i++) y = tanh(add(y, input('x', [N])))
    const told: Compiling[] = []
    const p = program({ name: 'p', functions: { f: fixed(() => ({ outputs: { y } })) } })
    const x = tensorValue('float32', [N.size], new Float32Array(N.size))
    const began = performance.now()
    const heard = { every: 1, onCompiling: (c: Compiling) => told.push(c) }
    const made = await orThrow(inWorker(direct, heard).load(p))
    const call = () => orThrow(made.call('f', { x }))
    await call()
    const all = (performance.now() - began) / 1000
    assert.ok(
      told.every((c) => c.seconds <= all),
      `${JSON.stringify(told.at(-1))} of ${all} s`,
    )
    const times = told.length
    assert.ok(told.some((c) => !c.done) && told.at(-1)!.done && told[0]!.seconds > 0, JSON.stringify(told))
    assert.is(told.at(-1)!.what, direct.name === 'tensorflow' ? 'p' : 'f')
    await call()
    assert.is(told.length, times)
    await orThrow(made.close())
    // what is there before the first word would be said is not told of, not even as done
    const quick = await orThrow(inWorker(direct, { ...heard, every: 2 ** 31 - 1 }).load(p))
    await orThrow(quick.call('f', { x }))
    await orThrow(quick.close())
    assert.is(told.length, times)
  })

  test('a process with an open session, and a thread that rests, ends by itself and leaves nothing behind', () => {
    const at = (path: string): string => JSON.stringify(moduleAt(path))
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [
        ...loader,
        '--input-type=module',
        '-e',
        `
        const { axis, fixed, input, mul, program } = await import(${at('src/dsl/index.ts')})
        const { inWorker, pickEngine, tensorValue } = await import(${at('src/engine/index.ts')})
        const { engine } = (await pickEngine('${direct.name}')()).right
        const f = fixed(() => ({ outputs: { y: mul(input('x', [axis('n', 2)]), 2) } }))
        const threaded = inWorker(engine, { rest: 2 ** 31 - 1 })
        const load = async () => (await threaded.load(program({ name: 'p', functions: { f } }))()).right
        const x = tensorValue('float32', [2], [1, 2])
        const [closed, session] = [await load(), await load()]
        const out = await session.call('f', { x })()
        await closed.close()()
        process.stdout.write([process.pid, ...out.right.y.data].join(' '))`,
      ],
      { encoding: 'utf8', timeout: 300_000 },
    )
    assert.is(status, 0, stderr)
    const [pid, ...y] = stdout.trim().split(' ')
    assert.equal(y, ['2', '4'])
    assert.equal(
      readdirSync(tmpdir()).filter((f) => f.startsWith(`sailwright-tf-${pid}-`)),
      [],
    )
  })

  test.run()
}

const graphs = suite('a graph in a message')
/** A literal whose numbers lie in a larger buffer. */
const literal = node({ op: 'constant', data: new Float32Array(100).subarray(3, 7) }, [], [N], 'float32', {
  line: 'here:1:1',
})

graphs('is the same graph, however deep; what was shared is there once', () => {
  let y: Tensor = add(input('x', [N]), literal)
  for (let i = 0; i < 20_000; i++) y = i % 2 === 0 ? tanh(y) : add(y, y)
  const p = program({
    name: 'deep',
    functions: { f: fixed(() => ({ outputs: { y, z: mul(y, y) }, next: new Map() })) },
  })
  const variant = p.functions.get('f')![0]!
  const back = unflatten(structuredClone(flatten([variant, variant], (data) => data)))
  const [one, other] = back as [typeof variant, typeof variant]
  assert.is(one.outputs.y, other.outputs.y)
  const nodes = topological(Object.values(variant.outputs))
  const copies = topological(Object.values(one.outputs))
  assert.is(copies.length, nodes.length)
  const place = new Map([...nodes, ...copies].map((t, i) => [t, i % nodes.length]))
  for (const [i, t] of nodes.entries()) {
    const c = copies[i]!
    assert.equal([c.op, c.axes, c.names, c.dtype], [t.op, t.axes, t.names, t.dtype])
    assert.is(c.site.line, t.site.line)
    assert.equal(
      c.inputs.map((x) => place.get(x)),
      t.inputs.map((x) => place.get(x)),
    )
  }
})

graphs.run()

{
  const test = suite('memory of calls')
  const numbers = (n: number, length = 2 ** 14): Float32Array => new Float32Array(length).fill(n)

  test('a piece is one call’s until the answer, and then that of the next call with as much', () => {
    const begin = callMemory()
    const [a, b] = [begin(), begin()]
    const first = a.copied(numbers(1))!
    const second = b.copied(numbers(2))!
    assert.is.not(first.buffer, second.buffer)
    a.answered()
    const third = begin()
    assert.is(third.copied(numbers(3, 2 ** 15))!.buffer === first.buffer, false, 'another size')
    assert.is(third.copied(numbers(4))!.buffer, first.buffer)
    assert.is.not(third.copied(numbers(5))!.buffer, second.buffer, 'that call has no answer yet')
    assert.equal([second[0], second.at(-1)], [2, 2])
    // said twice, or of a call that took nothing: nobody's piece is given to two
    a.answered()
    begin().answered()
    assert.is.not(begin().copied(numbers(6))!.buffer, first.buffer)
  })

  test('what is small, or shared by its owner, is not copied here; kinds and numbers stay', () => {
    const { copied } = callMemory()()
    assert.is(copied(new Float32Array(100)), undefined)
    assert.is(copied(new Float32Array(new SharedArrayBuffer(2 ** 17))), undefined)
    for (const data of [numbers(1.5), new Int32Array(2 ** 14).fill(-7), new Uint8Array(2 ** 16).fill(1)]) {
      const copy = copied(data)!
      assert.is(copy.constructor, data.constructor)
      assert.equal(copy, data)
      assert.ok(copy.buffer instanceof SharedArrayBuffer)
    }
    // a part of a larger array
    assert.equal(copied(numbers(1, 2 ** 16).subarray(5, 5 + 2 ** 15))!.length, 2 ** 15)
  })

  test('no more than 64 MiB wait: sizes that are not called with any more are let go', () => {
    const begin = callMemory()
    const old = begin()
    const was = old.copied(new Uint8Array(2 ** 25))!
    old.answered()
    const now = begin()
    const large = now.copied(new Uint8Array(2 ** 25 + 1))!
    now.answered()
    const later = begin()
    assert.is(later.copied(new Uint8Array(2 ** 25 + 1))!.buffer, large.buffer)
    assert.is.not(later.copied(new Uint8Array(2 ** 25))!.buffer, was.buffer)
  })

  test.run()
}
