/** Sessions of the xla engine on a processor: what lives on the device, calls that are under way together, precision. */
import { isLeft, isRight } from 'fp-ts/lib/Either.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import * as d from '../../../src/dsl/index.ts'
import { openSession } from '../../../src/engine/backend.ts'
import { onnxEngine } from '../../../src/engine/onnx/index.ts'
import { inPrecision, toldAs } from '../../../src/engine/precision.ts'
import type { Session } from '../../../src/engine/session.ts'
import { tensorValue } from '../../../src/engine/values.ts'
import { inWorker } from '../../../src/engine/worker/index.ts'
import { openXla, xlaEngine } from '../../../src/engine/xla/index.ts'
import { openClient } from '../../../src/engine/xla/open-client.ts'
import { Client, type Executable } from '../../../src/engine/xla/pjrt/index.ts'
import { xlaBackend } from '../../../src/engine/xla/session.ts'
import { shardingOf } from '../../../src/engine/xla/sharding.ts'
import { orThrow } from '../../../src/train/task.ts'
import { cpuPlugin } from '../../support/cpu-plugin.ts'
import { until } from '../../support/until.ts'

const plugin = await cpuPlugin()
const test = suite('xla: sessions')

const [Row, Embed, Out] = [d.axis('row', 4), d.axis('embed', 64), d.axis('out', 3)]

/** A state that a call adds to, one that it reads, one that it replaces and does not read. */
const p = d.program({
  name: 'states',
  functions: {
    step: d.fixed(() => {
      const w = d.parameter('w', [Out, Embed], d.normal(1))
      const x = d.input('x', [Row, Embed])
      const sum = d.state('sum', [Row, Out], d.zeros)
      const last = d.state('last', [], d.zeros)
      const y = d.contract(x, w, 'embed')
      return {
        outputs: { y, before: d.total(sum) },
        next: new Map<string, d.Tensor>([
          ['sum', d.add(sum, y)],
          ['last', d.add(d.mul(last, 0), d.total(y))],
        ]),
      }
    }),
    quiet: d.fixed(() => ({
      outputs: {},
      next: new Map<string, d.Tensor>([['last', d.add(d.state('last', [], d.zeros), 1)]]),
    })),
  },
})

const x = tensorValue(
  'float32',
  [4, 64],
  Array.from({ length: 256 }, (_, i) => Math.sin(i)),
)

if (plugin !== undefined) {
  test('a thousand calls leave nothing behind on the device, and closing frees all', async () => {
    const opened = await orThrow(openClient({ plugin }))
    const { client } = opened
    const session = await orThrow(openSession(xlaBackend(opened, p, { precision: 'float32' })))
    const step = (): ReturnType<ReturnType<Session['call']>> => session.call('step', { x })()
    assert.ok(isRight(await step()))
    const held = client.liveArrays
    assert.is(held, 3)
    for (let i = 0; i < 500; i++) assert.ok(isRight(await step()))
    assert.is(client.liveArrays, held)
    const many = await Promise.all(Array.from({ length: 500 }, step))
    assert.ok(many.every(isRight))
    assert.is(client.liveArrays, held)
    // what is written takes the place of what was there
    await orThrow(session.write((await orThrow(session.snapshot())).states))
    assert.is(client.liveArrays, held)
    await orThrow(session.close())
    assert.is(client.liveArrays, 0)
    await client.close()
  })

  /** States that begin with one number, and one that is drawn. */
  const many = d.program({
    name: 'many',
    functions: {
      step: d.fixed(() => {
        const [a, b] = [d.state('a', [Out, Embed], d.zeros), d.state('b', [Out, Embed], d.zeros)]
        const w = d.parameter('w', [Out, Embed], d.normal(1))
        return {
          outputs: { y: d.total(d.mul(w, d.add(a, b))) },
          next: new Map<string, d.Tensor>([
            ['a', d.add(a, w)],
            ['b', d.add(d.mul(b, 2), d.state('c', [Embed], d.filled(0.1)))],
            ['n', d.add(d.state('n', [Row], d.filled(-7), 'int32'), 1)],
            ['flag', d.not(d.state('flag', [Row], d.zeros, 'bool'))],
            ['one', d.mul(d.state('one', [], d.ones), 3)],
          ]),
        }
      }),
    },
  })

  /** A client whose programs a test may stop, or make fail. */
  const between = (client: Client, change: (e: Executable) => Partial<Executable>): Client => {
    const over = <T extends object>(of: T, own: Partial<T>): T =>
      new Proxy(of, {
        get: (_, name) => {
          const value = name in own ? own[name as keyof T] : Reflect.get(of, name, of)
          return typeof value === 'function' ? value.bind(of) : value
        },
      })
    const changed = async (e: Promise<Executable>): Promise<Executable> => {
      const made = await e
      return over(made, change(made))
    }
    return over(client, {
      compile: (...given) => changed(client.compile(...given)),
      deserialize: (...given) => changed(client.deserialize(...given)),
    })
  }

  test('four calls are under way at most, each until it is read; one without outputs until it has ended', async () => {
    const { client, plugin: found } = await orThrow(openClient({ plugin }))
    let [begun, open] = [0, (): void => undefined]
    const gate = new Promise<void>((go) => {
      open = go
    })
    const slow = between(client, (e) => ({
      executeOn: (lists) => {
        begun++
        return e.executeOn(lists)
      },
      ready: async (arrays) => {
        const ready = e.ready(arrays)
        await gate
        await ready
      },
    }))
    const session = await orThrow(
      openSession(xlaBackend({ client: slow, plugin: found }, p, { precision: 'float32' })),
    )
    let ended = 0
    const calls = Array.from({ length: 9 }, async () => {
      const got = await session.call('quiet', {})()
      ended++
      return got
    })
    await until(() => begun === 4)
    for (let i = 0; i < 50; i++) await new Promise((go) => setImmediate(go))
    assert.equal([begun, ended], [4, 0])
    open()
    assert.ok((await Promise.all(calls)).every(isRight))
    assert.is(begun, 9)
    // closing waits for what is under way
    const last = [session.call('step', { x })(), session.call('step', { x })()]
    await orThrow(session.close())
    assert.is(client.liveArrays, 0)
    assert.ok((await Promise.all(last)).every(isRight))
    await client.close()
  })

  test('what fills states is freed at once, what is called when the session closes', async () => {
    const { client, plugin: found } = await orThrow(openClient({ plugin }))
    const live = new Set<Executable>()
    const counted = between(client, (e) => {
      live.add(e)
      return {
        close: () => {
          live.delete(e)
          e.close()
        },
      }
    })
    const settings = { precision: 'float32', fillFrom: 0 } as const
    const session = await orThrow(openSession(xlaBackend({ client: counted, plugin: found }, many, settings)))
    await orThrow(session.read(['a', 'n']))
    assert.is(live.size, 0)
    await orThrow(session.call('step', {}))
    assert.is(live.size, 1)
    await orThrow(session.close())
    assert.is(live.size, 0)
    await client.close()
  })

  test('a thread that is told of a client opens none of its own, and leaves it open', async () => {
    const { client, plugin: found } = await orThrow(openClient({ plugin }))
    const open = Client.open
    Client.open = async () => {
      throw new Error('a second client')
    }
    try {
      const backend = await orThrow(openXla(p, { plugin: found.path, client: client.address }))
      const session = await orThrow(openSession(backend))
      assert.ok(isRight(await session.call('step', { x })()))
      await orThrow(session.close())
    } finally {
      Client.open = open
    }
    const session = await orThrow(
      openSession(xlaBackend({ client, plugin: found }, p, { precision: 'float32' })),
    )
    assert.ok(isRight(await session.call('step', { x })()))
    await orThrow(session.close())
    await client.close()
  })

  test('a state that a failed call has taken is said to be lost until it is written', async () => {
    const { client, plugin: found } = await orThrow(openClient({ plugin }))
    let fails = false
    const failing = between(client, (e) => ({
      executeOn: (lists) => {
        const results = e.executeOn(lists)
        if (!fails) return results
        for (const r of results.flat()) r.close()
        throw new Error('the device is gone')
      },
    }))
    const session = await orThrow(
      openSession(xlaBackend({ client: failing, plugin: found }, p, { precision: 'float32' })),
    )
    const before = await orThrow(session.snapshot())
    fails = true
    const failed = await session.call('step', { x })()
    assert.ok(isLeft(failed))
    assert.match(failed.left.message, 'the device is gone')
    fails = false
    const again = await session.call('step', { x })()
    assert.ok(isLeft(again))
    assert.match(
      again.left.message,
      /^function 'step' failed: state 'sum' was lost when an earlier call failed; write it/,
    )
    await orThrow(session.restore(before))
    assert.ok(isRight(await session.call('step', { x })()))
    await orThrow(session.close())
    assert.is(client.liveArrays, 0)
    await client.close()
  })

  test('calls that are started together run one after another, a reading between them sees what is before it', async () => {
    const session = await orThrow((await orThrow(xlaEngine({ plugin }))).load(p))
    const calls = [0, 1, 2].map(() => session.call('step', { x })())
    const read = session.read(['sum'])()
    const later = [session.call('quiet', {})(), session.call('step', { x })()] as const
    const before: number[] = []
    let y = 0
    for (const c of calls) {
      const got = await c
      assert.ok(isRight(got))
      before.push(got.right.before!.data[0]!)
      y = Array.from(got.right.y!.data).reduce((a, b) => a + b, 0)
    }
    before.forEach((b, i) => {
      assert.ok(Math.abs(b - i * y) < 1e-4 * Math.abs(y), `${before}`)
    })
    const seen = await read
    assert.ok(isRight(seen))
    const sum = Array.from(seen.right.get('sum')!.data).reduce((a, b) => a + b, 0)
    assert.ok(Math.abs(sum - 3 * y) < 1e-4 * Math.abs(y))
    for (const c of later) assert.ok(isRight(await c))
    // closing waits for what is under way
    const last = session.call('step', { x })()
    await orThrow(session.close())
    assert.ok(isRight(await last))
    const closed = await session.call('step', { x })()
    assert.ok(isLeft(closed) && closed.left._tag === 'Closed')
  })

  test('bfloat16 rounds what is multiplied, and is the same in a thread', async () => {
    const engine = await orThrow(xlaEngine({ plugin }))
    const half = inPrecision(engine, 'bfloat16')
    assert.ok(isRight(half))
    const yOf = async (e: typeof engine): Promise<number[]> => {
      const session = await orThrow(e.load(p, { seed: 4 }))
      const { y } = await orThrow(session.call('step', { x }))
      await orThrow(session.close())
      return Array.from(y!.data)
    }
    const [exact, rounded, threaded] = [
      await yOf(engine),
      await yOf(half.right),
      await yOf(inWorker(half.right)),
    ]
    assert.equal(threaded, rounded)
    const scale = Math.max(...exact.map(Math.abs))
    const off = Math.max(...exact.map((v, i) => Math.abs(v - rounded[i]!)))
    assert.ok(off > 1e-4 * scale && off < 0.02 * scale, `${off} of ${scale}`)
  })

  test('states that begin with one number are made on the device, with the same bits', async () => {
    for (const devices of [1, 2]) {
      const sharding = await orThrow(TE.fromEither(shardingOf({ devices, optimizer: 'parted' })))
      const opened = await orThrow(openClient({ plugin, devices }))
      const run = async (fillFrom: number) => {
        const written: string[] = []
        const backend = xlaBackend(opened, many, { precision: 'float32', sharding, fillFrom })
        const write: typeof backend.write = (values, given) => {
          written.push(...values.keys())
          return backend.write(values, given)
        }
        const session = await orThrow(openSession({ ...backend, write }, { seed: 3 }))
        const fresh = await orThrow(session.snapshot())
        const held = opened.client.liveArrays
        for (let i = 0; i < 3; i++) await orThrow(session.call('step', {}))
        const after = await orThrow(session.snapshot())
        await orThrow(session.close())
        assert.is(held, many.states.size * devices)
        assert.is(opened.client.liveArrays, 0)
        return { written, states: [fresh, after].map((s) => [...s.states]) }
      }
      const [there, here] = [await run(0), await run(Number.POSITIVE_INFINITY)]
      assert.equal(there.states, here.states)
      assert.equal(there.written.sort(), ['flag', 'w'])
      assert.is(here.written.length, many.states.size)
      await opened.client.close()
    }
  })

  test('a thread fills large states too: nothing of them crosses', async () => {
    const Long = d.axis('long', 2 ** 25)
    const program = d.program({
      name: 'long',
      functions: {
        step: d.fixed(() => {
          const long = d.state('long', [Long], d.filled(0.5))
          return { outputs: { y: d.total(long) }, next: new Map([['long', d.add(long, 1)]]) }
        }),
      },
    })
    const session = await orThrow(inWorker(await orThrow(xlaEngine({ plugin }))).load(program))
    const [Whole, large] = [globalThis.Float32Array, [] as number[]]
    globalThis.Float32Array = new Proxy(Whole, {
      construct: (target, words) => {
        if (words[0] >= Long.size) large.push(words[0])
        return Reflect.construct(target, words)
      },
    })
    try {
      assert.is((await orThrow(session.call('step', {}))).y!.data[0], 2 ** 24)
    } finally {
      globalThis.Float32Array = Whole
    }
    assert.equal(large, [])
    await orThrow(session.close())
  })
}

test('a precision that an engine lacks is refused with words', async () => {
  const onnx = await orThrow(onnxEngine())
  const refused = inPrecision(onnx, 'bfloat16')
  assert.ok(isLeft(refused))
  assert.is(refused.left._tag, 'BadOption')
  assert.match(
    refused.left.message,
    /^precision is 'bfloat16'; onnx computes in float32 alone.+weights that are stored in bfloat16 are read as float32$/,
  )
  const loaded = await onnx.load(p, { precision: 'tf32' })()
  assert.ok(isLeft(loaded) && loaded.left._tag === 'BadOption')
  // what is undefined is not said: the engine stays what it was told to be
  const asked: unknown[] = []
  const load = toldAs({ precision: 'tf32' }, (program, options) => {
    asked.push(options?.precision)
    return onnx.load(program)
  })
  for (const precision of [undefined, 'float32'] as const) await orThrow(load(p, { precision }))
  assert.equal(asked, ['tf32', 'float32'])
  const odd = inPrecision(onnx, 'float16' as never)
  assert.ok(isLeft(odd))
  assert.match(odd.left.message, 'it must be one of float32')
})

test.run()
