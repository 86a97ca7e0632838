/** Programs that several devices run together: one trajectory however many there are, on devices that a processor makes. */

import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isLeft } from 'fp-ts/lib/Either.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { keptProgram } from '../../../../src/engine/xla/kept-programs.ts'
import { type OpenedClient, openClient } from '../../../../src/engine/xla/open-client.ts'
import type { DeviceArray, Executable } from '../../../../src/engine/xla/pjrt/index.ts'
import { cpuPlugin } from '../../../support/cpu-plugin.ts'

const test = suite('xla: several devices')
const [rows, inputs, outputs] = [32, 16, 4]

/** Over devices by their first dimension, or whole on each. */
const parted = (n: number): string => `{mhlo.sharding = "{devices=[${n},1]<=[${n}]}"}`
const whole = '{mhlo.sharding = "{replicated}"}'

/** A step of gradient descent with momentum: rows are parted; what the optimizer keeps is, where asked for. */
const stepText = (devices: number, state: 'whole' | 'parted'): string => {
  const kept = (i: number): string => {
    const sharding =
      state === 'whole' || devices === 1 ? '{replicated}' : `{devices=[${devices},1]<=[${devices}]}`
    return `{tf.aliasing_output = ${i} : i32, mhlo.sharding = "${sharding}"}`
  }
  const out = state === 'whole' || devices === 1 ? whole : parted(devices)
  const batch = devices === 1 ? whole : parted(devices)
  const w = `tensor<${inputs}x${outputs}xf32>`
  const x = `tensor<${rows}x${inputs}xf32>`
  const y = `tensor<${rows}x${outputs}xf32>`
  return `module @step {
  func.func public @main(%w: ${w} {tf.aliasing_output = 0 : i32, mhlo.sharding = "{replicated}"}, %m: ${w} ${kept(1)}, %x: ${x} ${batch}, %y: ${y} ${batch}) -> (${w} ${whole}, ${w} ${out}, tensor<f32> ${whole}) {
    %p = stablehlo.dot_general %x, %w, contracting_dims = [1] x [0] : (${x}, ${w}) -> ${y}
    %d = stablehlo.subtract %p, %y : ${y}
    %sq = stablehlo.multiply %d, %d : ${y}
    %zero = stablehlo.constant dense<0.0> : tensor<f32>
    %loss = stablehlo.reduce(%sq init: %zero) applies stablehlo.add across dimensions = [0, 1] : (${y}, tensor<f32>) -> tensor<f32>
    %g = stablehlo.dot_general %x, %d, contracting_dims = [0] x [0] : (${x}, ${y}) -> ${w}
    %mu = stablehlo.constant dense<0.9> : ${w}
    %lr = stablehlo.constant dense<0.002> : ${w}
    %m1 = stablehlo.multiply %m, %mu : ${w}
    %m2 = stablehlo.add %m1, %g : ${w}
    %s = stablehlo.multiply %m2, %lr : ${w}
    %w2 = stablehlo.subtract %w, %s : ${w}
    return %w2, %m2, %loss : ${w}, ${w}, tensor<f32>
  }
}`
}

/** Values between −1 and 1 that look like none in particular. */
const values = (count: number, from: number): Float32Array<ArrayBuffer> =>
  Float32Array.from({ length: count }, (_, i) => Math.sin(1 + (i + from) * 12.9898) % 1)

const x = values(rows * inputs, 0)
const y = values(rows * outputs, 1000)

/** An array on every device: its rows dealt out, or all of them on each. */
const uploaded = (
  { client }: OpenedClient,
  data: Float32Array,
  [n, columns]: readonly [number, number],
  devices: number,
  deal: boolean,
): readonly DeviceArray[] =>
  Array.from({ length: devices }, (_, d) => {
    const part = deal ? n / devices : n
    const from = deal ? d * part * columns : 0
    return client.upload(data.slice(from, from + part * columns), 'float32', [part, columns], d)
  })

interface Trajectory {
  readonly losses: readonly number[]
  readonly weights: readonly number[]
}

/** Twenty steps. */
const trained = async (
  opened: OpenedClient,
  program: Executable,
  state: 'whole' | 'parted',
): Promise<Trajectory> => {
  const { devices } = program
  let w = uploaded(opened, values(inputs * outputs, 500), [inputs, outputs], devices, false)
  let m = uploaded(opened, new Float32Array(inputs * outputs), [inputs, outputs], devices, state === 'parted')
  const xs = uploaded(opened, x, [rows, inputs], devices, true)
  const ys = uploaded(opened, y, [rows, outputs], devices, true)
  const losses: number[] = []
  for (let step = 0; step < 20; step++) {
    const before = [...w, ...m]
    const results = program.executeOn(w.map((_, d) => [w[d]!, m[d]!, xs[d]!, ys[d]!]))
    // weights and what the optimizer keeps are taken over on every device
    assert.ok(before.every((a) => a.closed))
    w = results.map((r) => r[0]!)
    m = results.map((r) => r[1]!)
    const told = await Promise.all(results.map(async (r) => (await r[2]!.read())[0] as number))
    assert.ok(
      told.every((loss) => loss === told[0]),
      'every device tells the same loss',
    )
    losses.push(told[0]!)
    for (const r of results) r[2]!.close()
  }
  assert.equal(m[0]!.shape, [state === 'parted' ? inputs / devices : inputs, outputs])
  const weights = [...((await w.at(-1)!.read()) as Float32Array)]
  for (const a of [...w, ...m, ...xs, ...ys]) a.close()
  assert.is(opened.client.liveArrays, 0)
  return { losses, weights }
}

const near = (a: readonly number[], b: readonly number[]): void => {
  assert.is(a.length, b.length)
  a.forEach((v, i) => {
    assert.ok(Math.abs(v - b[i]!) <= 1e-5 * Math.max(1, Math.abs(b[i]!)), `${i}: ${v} and ${b[i]}`)
  })
}

const plugin = await cpuPlugin()
if (plugin !== undefined) {
  const opened = async (devices: number): Promise<OpenedClient> => {
    const got = await openClient({ plugin, devices })()
    if (isLeft(got)) throw new Error(got.left.message)
    return got.right
  }

  test('one, two and eight devices go the same way, with the optimizer whole and parted', async () => {
    const one = await opened(1)
    const alone = await one.client.compile(stepText(1, 'whole'))
    const expected = await trained(one, alone, 'whole')
    assert.ok(expected.losses.at(-1)! < 0.8 * expected.losses[0]!)
    alone.close()
    await one.client.close()
    for (const devices of [2, 8]) {
      const several = await opened(devices)
      assert.is(several.client.devices.length, devices)
      for (const state of ['whole', 'parted'] as const) {
        const program = await several.client.compile(stepText(devices, state), { devices })
        assert.is(program.devices, devices)
        const found = await trained(several, program, state)
        near(found.losses, expected.losses)
        near(found.weights, expected.weights)
        program.close()
      }
      await several.client.close()
    }
  })

  test('a program of several devices is kept and read again, apart from that of one', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sailwright-test-'))
    const two = await opened(2)
    const compiles: number[] = []
    const get = () =>
      keptProgram(
        two.client,
        two.plugin.bytes,
        stepText(2, 'parted'),
        { devices: 2 },
        { folder, onCompiling: (at) => compiles.push(at) },
      )
    const first = await get()
    const again = await get()
    assert.is(compiles.filter((at) => at === 0).length, 1)
    near((await trained(two, again, 'parted')).losses, (await trained(two, first, 'parted')).losses)
    for (const p of [first, again]) p.close()
    assert.is(readdirSync(folder).length, 1)
    const one = await keptProgram(two.client, two.plugin.bytes, stepText(2, 'parted'), {}, { folder })
    assert.is(readdirSync(folder).length, 2)
    one.close()
    await two.client.close()
    rmSync(folder, { recursive: true })
  })

  test('lists that do not fit the devices, and devices that are not there, are refused by name', async () => {
    const two = await opened(2)
    const program = await two.client.compile(stepText(2, 'whole'), { devices: 2 })
    assert.throws(() => program.execute([]), /for 2 devices was given arguments for 1/)
    const a = two.client.upload(Float32Array.of(1), 'float32', [1, 1], 1)
    assert.throws(() => program.executeOn([[a], []]), /as many arguments/)
    a.close()
    assert.throws(() => two.client.upload(Float32Array.of(1), 'float32', [1, 1], 2), /no device 2 among 2/)
    program.close()
    await two.client.close()
  })
}

if (plugin === undefined) test.skip('there is no plugin for this processor', () => undefined)

test.run()
