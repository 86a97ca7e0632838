import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type KeptOptions, keptProgram, programHash } from '../../../../src/engine/xla/kept-programs.ts'
import { openClient } from '../../../../src/engine/xla/open-client.ts'
import { Client, type DeviceArray, PjrtError, Plugin } from '../../../../src/engine/xla/pjrt/index.ts'
import { cpuPlugin } from '../../../support/cpu-plugin.ts'

/** Adds x to the state w, which it takes over, and gives the sum of the new state. */
const adding = (name = 'adding') => `module @${name} {
  func.func public @main(%w: tensor<4xf32> {tf.aliasing_output = 1 : i32}, %x: tensor<4xf32>) -> (tensor<f32>, tensor<4xf32>) {
    %zero = stablehlo.constant dense<0.0> : tensor<f32>
    %next = stablehlo.add %w, %x : tensor<4xf32>
    %sum = stablehlo.reduce(%next init: %zero) applies stablehlo.add across dimensions = [0] : (tensor<4xf32>, tensor<f32>) -> tensor<f32>
    return %sum, %next : tensor<f32>, tensor<4xf32>
  }
}`

const plugin = await cpuPlugin()
if (plugin !== undefined) {
  const opened = await openClient({ plugin })()
  if (opened._tag === 'Left') throw new Error(opened.left.message)
  const { client } = opened.right
  const floats = (...xs: number[]): DeviceArray =>
    client.upload(Float32Array.from(xs), 'float32', [xs.length])

  test('arrays of every type and shape go up and come down as they were', async () => {
    for (const [values, type, shape] of [
      [Float32Array.from([1, -2.5, 3, 4, 5, 6]), 'float32', [2, 3]],
      [Int32Array.from([7]), 'int32', []],
      [Uint8Array.from([1, 0, 1]), 'bool', [3]],
      [Uint16Array.from([0x3f80, 0xc000]), 'bfloat16', [2, 1]],
      [new Float32Array(0), 'float32', [0, 4]],
    ] as const) {
      const a = client.upload(values, type, shape)
      assert.equal(await a.read(), values)
      assert.equal([a.type, a.shape, a.bytes], [type, shape, values.byteLength])
      a.close()
    }
    assert.is(client.liveArrays, 0)
  })

  test('host values may change once they were uploaded', async () => {
    const values = new Float32Array(1 << 20).fill(3)
    const a = client.upload(values, 'float32', [values.length])
    values.fill(4)
    assert.ok((await a.read()).every((x) => x === 3))
    a.close()
  })

  test('values that are lent are what a program reads, however many are on their way', async () => {
    const size = 1 << 18
    const program = await client.compile(
      `module @twice { func.func public @main(%a: tensor<${size}xf32>) -> tensor<${size}xf32> { %b = stablehlo.add %a, %a : tensor<${size}xf32>\nreturn %b : tensor<${size}xf32> } }`,
    )
    const sums = await Promise.all(
      Array.from({ length: 24 }, async (_, i) => {
        // nobody but the client holds these
        const a = client.upload(new Float32Array(size).fill(i), 'float32', [size], 0, true)
        const [twice] = program.execute([a]) as readonly [DeviceArray]
        a.close()
        const read = await twice.read()
        twice.close()
        return [read[0], read.at(-1), read.every((x) => x === read[0])]
      }),
    )
    assert.equal(
      sums,
      sums.map((_, i) => [2 * i, 2 * i, true]),
    )
    assert.is(client.liveArrays, 0)
    program.close()
  })

  test('state is donated from call to call: 1,000 calls leave as many arrays as there were, and closing frees all', async () => {
    const program = await client.compile(adding())
    let w = floats(0, 0, 0, 0)
    const x = floats(1, 2, 3, 4)
    for (let i = 0; i < 1000; i++) {
      const [sum, next] = program.execute([w, x]) as readonly [DeviceArray, DeviceArray]
      assert.ok(w.closed)
      assert.not(x.closed)
      sum.close()
      w = next
    }
    assert.is(client.liveArrays, 2)
    assert.equal(await w.read(), Float32Array.from([1000, 2000, 3000, 4000]))
    w.close()
    w.close()
    x.close()
    program.close()
    assert.is(client.liveArrays, 0)
  })

  test('an array that was donated or closed is refused in words', async () => {
    const program = await client.compile(adding())
    const [w, x] = [floats(0, 0, 0, 0), floats(1, 2, 3, 4)]
    for (const a of program.execute([w, x])) a.close()
    assert.throws(() => program.execute([w, x]), /donated or closed/)
    x.close()
    program.close()
  })

  test('a copy is made on the device and outlives what it was copied from', async () => {
    const [a, b] = [floats(1, 2), client.upload(Int32Array.from([3]), 'int32', [])]
    const [c, d] = (await client.copy([a, b])) as readonly [DeviceArray, DeviceArray]
    a.close()
    b.close()
    assert.equal(await c.read(), Float32Array.from([1, 2]))
    assert.equal(await d.read(), Int32Array.from([3]))
    c.close()
    d.close()
    assert.is(client.liveArrays, 0)
  })

  test('the event loop turns while a program is compiled', async () => {
    let turns = 0
    const clock = setInterval(() => turns++, 1)
    const steps = Array.from(
      { length: 400 },
      (_, i) => `%v${i + 1} = stablehlo.sine %v${i} : tensor<64x64xf32>`,
    )
    const program = await client.compile(
      `module @long { func.func public @main(%v0: tensor<64x64xf32>) -> tensor<64x64xf32> {\n${steps.join('\n')}\nreturn %v400 : tensor<64x64xf32> } }`,
    )
    clearInterval(clock)
    program.close()
    assert.ok(turns > 0)
  })

  test('the compiler fails with a code and a message, and its flags reach it', async () => {
    const failure = async (run: Promise<unknown>): Promise<PjrtError> => {
      try {
        await run
      } catch (e) {
        if (e instanceof PjrtError) return e
        throw e
      }
      throw new Error('nothing failed')
    }
    const wrong = await failure(client.compile('module { nonsense }'))
    assert.is(wrong.function, 'Client_Compile')
    assert.match(wrong.message, /custom op 'nonsense' is unknown/)
    assert.match(
      (await failure(client.compile(adding(), { flags: { xla_no_such_flag: 3 } }))).message,
      /xla_no_such_flag/,
    )
    for (const value of [true, 3, 0.5, 'x']) {
      const flags = { [`xla_no_such_${typeof value}`]: value }
      assert.match((await failure(client.compile(adding(), { flags }))).message, /xla_no_such/)
    }
    const flagged = await client.compile(adding(), { flags: { xla_llvm_disable_expensive_passes: true } })
    flagged.close()
  })

  test('a plugin that is not there, and a file that is none, are refused by name', async () => {
    for (const path of ['/no/such/plugin.so', process.execPath]) {
      const refused = await openClient({ plugin: path })()
      assert.is(refused._tag, 'Left')
      if (refused._tag === 'Left') {
        assert.is(refused.left._tag, 'NotInstalled')
        assert.ok(refused.left.message.includes(path))
        assert.ok(refused.left.message.includes('sailwright engine install xla'))
      }
    }
  })

  const inFolder = async (run: (folder: string) => Promise<void>): Promise<void> => {
    const folder = await mkdtemp(join(tmpdir(), 'sailwright-kept-'))
    try {
      await run(folder)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }

  /** Whether a program had to be compiled. */
  const compiles = async (text: string, options: KeptOptions): Promise<boolean> => {
    let compiled = false
    const program = await keptProgram(
      client,
      1,
      text,
      {},
      { ...options, onCompiling: () => (compiled = true) },
    )
    const [w, x] = [floats(0, 0, 0, 0), floats(1, 2, 3, 4)]
    const [sum, next] = program.execute([w, x]) as readonly [DeviceArray, DeviceArray]
    assert.equal(await sum.read(), Float32Array.from([10]))
    assert.ok(w.closed)
    for (const a of [sum, next, x]) a.close()
    program.close()
    return compiled
  }

  test('a program is compiled once, and one that is damaged anew', () =>
    inFolder(async (folder) => {
      assert.ok(await compiles(adding(), { folder }))
      assert.not(await compiles(adding(), { folder }))
      const [file] = (await readdir(folder)) as [string]
      await writeFile(join(folder, file), (await readFile(join(folder, file))).subarray(0, 40))
      assert.ok(await compiles(adding(), { folder }))
      assert.not(await compiles(adding(), { folder }))
    }))

  test('kept programs take no more than the limit: those that were not used for longest go', () =>
    inFolder(async (folder) => {
      const [first, second, third] = ['a', 'b', 'c'].map((name) => adding(name)) as [string, string, string]
      await compiles(first, { folder })
      const [file] = (await readdir(folder)) as [string]
      const bytes = (await readFile(join(folder, file))).length
      await compiles(second, { folder })
      for (const [f, at] of (await readdir(folder)).map((f) => [f, f === file ? 1000 : 2000] as const))
        await utimes(join(folder, f), at, at)
      assert.not(await compiles(first, { folder }), 'it was kept, and is used again')
      await compiles(third, { folder, limit: 2.5 * bytes })
      assert.is((await readdir(folder)).length, 2)
      assert.not(await compiles(first, { folder }))
      assert.not(await compiles(third, { folder }))
      assert.ok(await compiles(second, { folder }))
    }))

  test('a folder that cannot be written costs nothing but the keeping', async () => {
    assert.ok(await compiles(adding(), { folder: '/dev/null/folder' }))
  })

  test('a program is kept by all that determines it', () => {
    const about: Pick<Client, 'platform' | 'version' | 'apiVersion' | 'devices'> = client
    const hash = programHash(about, 1, 'text', {})
    assert.is(programHash(about, 1, 'text', { flags: {} }), hash)
    for (const other of [
      programHash(about, 2, 'text', {}),
      programHash(about, 1, 'other', {}),
      programHash(about, 1, 'text', { flags: { a: 1 } }),
      programHash(
        { ...about, version: 'x', platform: 'cpu', apiVersion: '0.1', devices: client.devices },
        1,
        'text',
        {},
      ),
    ])
      assert.is.not(other, hash)
  })

  test('a client that is open is taken by its address: arrays and programs of its own, and it stays open', async () => {
    const taken = Client.of(new Plugin(plugin), client.address)
    assert.is(taken.platform, client.platform)
    assert.is(taken.devices.length, client.devices.length)
    const before = client.liveArrays
    const a = taken.upload(Float32Array.of(1, 2, 3), 'float32', [3])
    const [b] = await taken.copy([a])
    assert.equal(await b!.read(), Float32Array.of(1, 2, 3))
    assert.equal([taken.liveArrays, client.liveArrays], [2, before])
    a.close()
    b!.close()
    await taken.close()
    const still = client.upload(Float32Array.of(4), 'float32', [1])
    assert.equal(await still.read(), Float32Array.of(4))
    still.close()
  })

  test.after(() => client.close())
}

if (plugin === undefined) test.skip('there is no plugin for this processor', () => undefined)

test.run()
