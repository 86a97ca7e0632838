/**
 * The session that both engines share, over a backend that keeps account of itself: what it fills and when, what it takes
 * in groups, what it keeps in order; and on every engine that nothing that was written is lost.
 */
import { isLeft, left, right } from 'fp-ts/lib/Either.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  add,
  axis,
  elements,
  fill,
  fixed,
  input,
  normal,
  program,
  state,
  type Tensor,
} from '../../src/dsl/index.ts'
import { type Backend, openSession, type Values } from '../../src/engine/backend.ts'
import { engineError } from '../../src/engine/error.ts'
import type { LoadOptions, Session, TensorValue } from '../../src/engine/session.ts'
import { tensorValue } from '../../src/engine/values.ts'
import { orThrow } from '../../src/train/task.ts'
import { presentEngines } from '../support/engines.ts'

const engines = await presentEngines()
const N = axis('n', 4)

/** Five states of 16 bytes; `look` reads the first two, `set` replaces the third without reading it. */
const keys = ['a', 'b', 'c', 'd', 'e'] as const
const of = (key: string): Tensor => state(key, [N], normal(1))
const five = program({
  name: 'five',
  functions: {
    look: fixed(() => ({ outputs: { y: add(of('a'), of('b')) } })),
    set: fixed(() => ({ outputs: {}, next: new Map<string, Tensor>([['c', input('value', [N])]]) })),
    rest: fixed(() => ({ outputs: { y: keys.map(of).reduce((x, y) => add(x, y)) } })),
  },
})
/** As an engine gets it: a function lists no state that it only replaces. */
const lean = {
  ...five,
  functions: new Map(
    [...five.functions].map(([name, vs]) => [
      name,
      vs.map((v) => ({ ...v, states: name === 'set' ? new Map() : v.states })),
    ]),
  ),
}
const fresh = (key: string, seed: number): Float32Array => fill(normal(1), elements([N]), seed, key)

/** A backend in memory, which says what it was asked; calling takes its time. */
const watched = (groupBytes: number, copies = false) => {
  const said: string[] = []
  const held = new Map<string, TensorValue>()
  const backend: Backend = {
    ...{ name: 'onnx', program: lean, empty: keys, groupBytes, copies },
    call: async (name, { inputs }) => {
      said.push(`${name} begins`)
      await new Promise((resolve) => setTimeout(resolve, 10))
      said.push(`${name} ends`)
      if (name === 'set') held.set('c', inputs.get('value')!)
      return name === 'rest' ? left(engineError('Failed', 'out of order')) : right({})
    },
    read: async (specs) => {
      said.push(`read ${specs.map((s) => s.key)}`)
      const lost = specs.find((s) => !held.has(s.key))
      if (lost !== undefined) throw new Error(`state '${lost.key}' was lost`)
      return new Map(specs.map((s) => [s.key, held.get(s.key)!]))
    },
    write: async (values: Values, given) => {
      said.push(`${given ? 'take' : 'write'} ${[...values.keys()]}`)
      for (const [key, v] of values) held.set(key, copies ? { ...v, data: v.data.slice() } : v)
    },
    close: async () => void said.push('close'),
  }
  const open = async (options: LoadOptions = {}, more: Partial<Backend> = {}): Promise<Session> =>
    orThrow(openSession({ ...backend, ...more }, options))
  return { said, held, open, backend }
}
const value = tensorValue('float32', [4], [1, 2, 3, 4])

const sessions = suite('engines: the session around a library')

sessions('states are filled from the seed when they are needed, in groups, and once', async () => {
  const { said, held, open } = watched(32)
  const s = await open({ seed: 6 })
  assert.equal(said, [])
  await orThrow(s.call('look', {}))
  assert.equal(said, ['take a,b', 'look begins', 'look ends'])
  said.length = 0
  const read = await orThrow(s.read())
  assert.equal(said, ['take c,d', 'take e', 'read a,b,c,d,e'])
  for (const key of keys) assert.equal(read.get(key)!.data, fresh(key, 6), key)
  said.length = 0
  await orThrow(s.call('look', {}))
  await orThrow(s.snapshot())
  assert.equal(said, ['look begins', 'look ends', 'read a,b,c,d,e'])
  assert.is(held.size, 5)
})

sessions('groups are of at most so many bytes, a larger state by itself', async () => {
  for (const [bytes, groups] of [
    [0, ['a', 'b', 'c', 'd', 'e']],
    [15, ['a', 'b', 'c', 'd', 'e']],
    [16, ['a', 'b', 'c', 'd', 'e']],
    [47, ['a,b', 'c,d', 'e']],
    [48, ['a,b,c', 'd,e']],
    [1000, ['a,b,c,d,e']],
  ] as const) {
    const { said, open } = watched(bytes)
    await orThrow((await open()).read())
    assert.equal(
      said.filter((x) => x.startsWith('take')),
      groups.map((g) => `take ${g}`),
      `${bytes} bytes`,
    )
  }
})

sessions(
  'states that are read one after another are read in groups, and never from before a change',
  async () => {
    const { said, held, open } = watched(48)
    const s = await open({ seed: 6 })
    await orThrow(s.read())
    const one = async (key: string): Promise<unknown> => {
      const read = await orThrow(s.read([key]))
      assert.equal([...read.keys()], [key])
      return read.get(key)!.data
    }
    const asked = async (...all: readonly string[]): Promise<readonly string[]> => {
      said.length = 0
      for (const key of all) assert.equal(await one(key), held.get(key)!.data, key)
      return [...said]
    }
    assert.equal(await asked('a', 'b', 'c', 'd', 'e'), ['read a', 'read b,c,d', 'read e'])
    // what is asked for twice is read twice: whoever has it may change it
    assert.equal(await asked('a', 'b', 'c', 'c', 'd'), ['read a', 'read b,c,d', 'read c'])
    // backwards nothing is read that nobody asks for
    assert.equal(await asked('e', 'd', 'c', 'b', 'a'), ['read e', 'read d', 'read c', 'read b', 'read a'])
    await orThrow(s.write(new Map([['e', value]])))
    assert.equal(await asked('e', 'd', 'e'), ['read e', 'read d', 'read e'])
    await orThrow(s.call('set', { value }))
    assert.equal(await asked('a', 'c'), ['read a', 'read c,d,e'])
    const twice = tensorValue('float32', [4], [2, 4, 6, 8])
    // c was read ahead when a call, a writing or a snapshot's restoring changes it
    assert.equal(await asked('a', 'b'), ['read a', 'read b,c,d'])
    await orThrow(s.call('set', { value: twice }))
    assert.equal(await one('c'), twice.data)
    assert.equal(await asked('a', 'b'), ['read a', 'read b,c,d'])
    await orThrow(s.write(new Map([['c', value]])))
    assert.equal(await one('c'), value.data)
    const snapshot = await orThrow(s.snapshot())
    assert.equal(await asked('b', 'c'), ['read b', 'read c,d,e'])
    await orThrow(s.restore({ states: new Map([...snapshot.states, ['d', twice]]) }))
    assert.equal(await one('d'), twice.data)
  },
)

sessions('a state that is lost fails who asks for it, and nobody before', async () => {
  const { held, open } = watched(1000)
  const s = await open({ seed: 6 })
  await orThrow(s.read())
  held.delete('d')
  for (const key of ['a', 'b', 'c', 'e', 'b'])
    assert.equal((await orThrow(s.read([key]))).get(key)!.data, fresh(key, 6), key)
  const got = await s.read(['d'])()
  assert.is(isLeft(got) && got.left._tag, 'Failed')
})

sessions('of states that hold nothing yet none is read ahead, and none without groups', async () => {
  const { said, open } = watched(1000)
  const s = await open({ seed: 6 })
  for (const key of ['a', 'b', 'a', 'c']) await orThrow(s.read([key]))
  assert.equal(said, ['take a', 'read a', 'take b', 'read b', 'read a', 'take c', 'read c'])
  const single = watched(0)
  const other = await single.open({ seed: 6 })
  await orThrow(other.read())
  single.said.length = 0
  for (const key of keys) await orThrow(other.read([key]))
  assert.equal(
    single.said,
    keys.map((key) => `read ${key}`),
  )
})

sessions('weights that come one by one are taken group by group, not all at once', async () => {
  const { said, open } = watched(32)
  const read = (key: string) =>
    TE.fromIO(() => {
      said.push(`asked ${key}`)
      return value
    })
  await open({ values: { keys: ['a', 'none', 'c', 'd'], read } as never })
  assert.equal(said, ['asked a', 'asked c', 'take a,c', 'asked d', 'take d'])
})

sessions(
  'what is larger than a group goes first, the largest at its head, where the library copies',
  async () => {
    const widths = { small: 2, large: 40, larger: 50, tiny: 1 }
    const states = new Map(
      Object.entries(widths).map(([key, n]) => [
        key,
        { key, axes: [axis('n', n)], dtype: 'float32', init: normal(1) } as const,
      ]),
    )
    for (const [copies, want] of [
      [true, ['larger', 'large', 'small,tiny']],
      [false, ['small', 'large', 'larger', 'tiny']],
    ] as const) {
      const taken: string[] = []
      const backend: Backend = {
        ...{
          name: 'onnx',
          program: { name: 'p', states, functions: new Map() },
          empty: [...states.keys()],
          copies,
        },
        groupBytes: copies ? 100 : 0,
        call: async () => right({}),
        read: async () => new Map(),
        write: async (values) => void taken.push([...values.keys()].join()),
        close: async () => undefined,
      }
      const values = new Map(
        Object.entries(widths).map(([key, n]) => [key, tensorValue('float32', [n], new Float32Array(n))]),
      )
      const read = (key: string) => TE.right(values.get(key)!)
      await orThrow(openSession(backend, { values: { keys: [...values.keys()], read } }))
      assert.equal(taken, want)
    }
  },
)

sessions(
  'weights pass through one buffer into a library that copies them, and through none into another',
  async () => {
    // one line of 64 bytes a weight: two fit into a group's room, the third of a group has memory of its
    // own, and those that are larger than a group have one room
    for (const [groupBytes, copies, rooms] of [
      [80, true, [0, 0, undefined, undefined, undefined]],
      [128, true, [0, 0, undefined, undefined, undefined]],
      [16, true, [0, 0, 0, 0, 0]],
      [15, true, [0, 0, 0, 0, 0]],
      [128, false, keys.map(() => undefined)],
    ] as const) {
      const { held, open } = watched(groupBytes, copies)
      const buffers: ArrayBufferLike[] = []
      const lent: (number | undefined)[] = []
      const read = (key: string, room?: Float32Array) =>
        TE.fromIO(() => {
          if (room !== undefined && !buffers.includes(room.buffer)) buffers.push(room.buffer)
          lent.push(room === undefined ? undefined : buffers.indexOf(room.buffer))
          if (room !== undefined) assert.is(room.length, 4, 'as long as the weight')
          const data = room ?? new Float32Array(4)
          return { ...value, data: data.fill(keys.indexOf(key as 'a')) }
        })
      await open({ values: { keys, read } })
      assert.equal(lent, [...rooms], `${groupBytes} ${copies}`)
      for (const [i, key] of keys.entries())
        assert.equal(held.get(key)!.data, new Float32Array(4).fill(i), key)
    }
  },
)

sessions('what was written, or replaced by a call, is not filled over', async () => {
  const { said, open } = watched(1000)
  const s = await open()
  await orThrow(s.write(new Map([['a', value]])))
  await orThrow(s.call('set', { value }))
  assert.equal(said, ['write a', 'set begins', 'set ends'])
  const read = await orThrow(s.read())
  assert.equal(said.slice(3), ['take b,d,e', 'read a,b,c,d,e'])
  assert.equal([read.get('a')!.data, read.get('c')!.data], [value.data, value.data])
})

sessions(
  'what a call that failed on its way was to fill holds nothing, and is filled when it is needed',
  async () => {
    const { said, open, backend } = watched(1000)
    const start: Backend['start'] = async (name, chosen) => {
      said.push(`${name} starts`)
      return right(async () =>
        name === 'set' ? left(engineError('Failed', 'lost on its way')) : backend.call(name, chosen),
      )
    }
    const s = await open({ seed: 6 }, { start })
    const failed = await s.call('set', { value })()
    assert.ok(isLeft(failed))
    const read = await orThrow(s.read(['c']))
    assert.equal(said, ['set starts', 'take c', 'read c'])
    assert.equal(read.get('c')!.data, fresh('c', 6))
  },
)

sessions('turns come in the order in which they were started; a failed one stops no other', async () => {
  const { said, open } = watched(1000)
  const s = await open()
  const all = [s.call('look', {})(), s.call('rest', {})(), s.read(['a'])(), s.close()(), s.call('look', {})()]
  const ended = await Promise.all(all as Promise<{ readonly _tag: string }>[])
  assert.equal(
    ended.map((e) => e._tag),
    ['Right', 'Left', 'Right', 'Right', 'Left'],
  )
  assert.equal(
    said.filter((x) => !x.startsWith('take')),
    ['look begins', 'look ends', 'rest begins', 'rest ends', 'read a', 'close'],
  )
  for (const task of [s.call('look', {}), s.read(), s.write(new Map()), s.snapshot()]) {
    const e = await (task as TE.TaskEither<{ readonly _tag: string }, unknown>)()
    assert.ok(isLeft(e) && e.left._tag === 'Closed')
  }
  assert.ok(!isLeft(await s.close()()))
  assert.is(said.filter((x) => x === 'close').length, 1)
})

for (const engine of engines) {
  const using = async (body: (s: Session) => Promise<void>): Promise<void> => {
    const s = await orThrow(engine.load(five, { seed: 6 }))
    await body(s)
    await orThrow(s.close())
  }
  const dataOf = async (s: Session, key: string): Promise<number[]> => [
    ...(await orThrow(s.read([key]))).get(key)!.data,
  ]

  sessions(`${engine.name}: a state that is replaced before it is read keeps what it was given`, () =>
    using(async (s) => {
      await orThrow(s.call('set', { value }))
      assert.equal(await dataOf(s, 'c'), [1, 2, 3, 4])
      await orThrow(s.write(new Map([['d', value]])))
      const sum = (await orThrow(s.call('rest', {}))).y!.data
      const want = [...value.data].map(
        (x, i) => 2 * x + ['a', 'b', 'e'].reduce((n, k) => n + fresh(k, 6)[i]!, 0),
      )
      sum.forEach((x, i) => {
        assert.ok(Math.abs(x - want[i]!) < 1e-5)
      })
      assert.equal(await dataOf(s, 'd'), [1, 2, 3, 4])
    }),
  )

  sessions(`${engine.name}: what is written is the session's own, the first time and again`, () =>
    using(async (s) => {
      const mine = Float32Array.of(1, 2, 3, 4)
      for (const _ of [1, 2]) {
        await orThrow(s.write(new Map([['a', { shape: [4], dtype: 'float32', data: mine }]])))
        mine.fill(9)
        assert.equal(await dataOf(s, 'a'), [1, 2, 3, 4])
        mine.set([1, 2, 3, 4])
      }
      const given = await orThrow(s.snapshot())
      given.states.get('a')!.data.fill(7)
      assert.equal(await dataOf(s, 'a'), [1, 2, 3, 4])
      await orThrow(s.restore(given))
      given.states.get('a')!.data.fill(8)
      assert.equal(await dataOf(s, 'a'), [7, 7, 7, 7])
    }),
  )

  sessions(`${engine.name}: a snapshot that lacks a state restores none`, () =>
    using(async (s) => {
      const before = await orThrow(s.snapshot())
      const some = { states: new Map([['a', value]]) }
      const e = await s.restore(some)()
      assert.ok(isLeft(e) && e.left._tag === 'BadInput')
      assert.equal((await orThrow(s.snapshot())).states, before.states)
    }),
  )
}

sessions.run()
