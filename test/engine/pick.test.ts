/** Which engine `auto` takes, and why: what is remembered decides between two that load. */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isRight } from 'fp-ts/lib/Either.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { engineError } from '../../src/engine/error.ts'
import { deviceOf, graphicsHere } from '../../src/engine/onnx/graphics.ts'
import { enginesToMeasure, fasterOf, type Loaders, pickEngine, picking } from '../../src/engine/pick.ts'
import type { Engine, EngineName } from '../../src/engine/session.ts'
import { rememberedSpeeds, rememberSpeeds, speedName } from '../../src/engine/speeds.ts'
import { freshState } from '../../src/engine/values.ts'
import { called } from '../../src/terminal/called.ts'
import { presentEngines } from '../support/engines.ts'

const test = suite('pick an engine')
const root = mkdtempSync(join(tmpdir(), 'sailwright-pick-'))
test.after(() => rmSync(root, { recursive: true, force: true }))

const engine = (name: EngineName, version = `${name} 1 (cpu)`): Engine => ({
  name,
  version,
  load: () => async () => {
    throw new Error('not called')
  },
})
const both = [engine('tensorflow'), engine('onnx')] as const
const measured = (tensorflow: number, onnx: number) => ({
  measuredAt: '2026-02-03T04:05:06.000Z',
  samplesPerSecond: { tensorflow, onnx },
})

test('the faster one is taken, and how much faster it was is said', () => {
  const onnx = fasterOf(both, measured(100, 124))
  assert.is(onnx.engine.name, 'onnx')
  assert.is(
    onnx.why,
    `1.24 times as fast as tensorflow here, measured 2026-02-03; '${called()} doctor' measures again`,
  )
  assert.match(fasterOf(both, measured(100.4, 100)).why, /^as fast as onnx here, measured/)
  assert.is(fasterOf(both, measured(200, 100)).engine.name, 'tensorflow')
  assert.match(fasterOf(both, measured(200, 100)).why, '2.00 times as fast as onnx')
  assert.equal(fasterOf(both, measured(0, 100)).why, 'tensorflow failed when it was measured')
})

test('what is no engine, no measurement or no state is refused in words', () => {
  const speeds = measured(1, 2)
  for (const given of [undefined, null, 7, {}]) {
    const any = given as never
    assert.throws(() => fasterOf(any, speeds), /^fasterOf, engines: it is .*; give a list of/)
    assert.throws(() => fasterOf([any], speeds), /^speedName, engine: it is /)
    assert.throws(() => fasterOf(both, any), /^fasterOf, speeds: it is .*; give a measurement/)
    assert.throws(() => speedName(any), /^speedName, engine: it is .*; give an engine/)
    assert.throws(() => freshState(any, 0), /^freshState, spec: it is .*; give a state/)
  }
  assert.throws(
    () => fasterOf([] as never, speeds),
    /it is a list of 0; give a list of engines with at least/,
  )
})

test('a measurement holds for the engines, versions and machine that it was made on', () => {
  const env = { XDG_CACHE_HOME: join(root, 'cache') }
  assert.is(rememberedSpeeds(both, env), undefined)
  assert.is(rememberSpeeds(both, measured(1, 2), env), true)
  assert.equal(rememberedSpeeds([...both].reverse(), env), measured(1, 2))
  assert.is(rememberedSpeeds([both[0], engine('onnx', 'onnx 2 (cpu)')], env), undefined)
  const file = join(root, 'cache', 'sailwright', 'engine-speeds.json')
  assert.match(
    readFileSync(file, 'utf8'),
    /"sailwright \d+\.\d+\.\d+, onnx 1 \(cpu\), tensorflow 1 \(cpu\), \d+ × /,
  )
  const other = [both[0], engine('onnx', 'onnx 2 (cpu)')] as const
  rememberSpeeds(other, measured(3, 4), env)
  assert.equal(rememberedSpeeds(both, env), measured(1, 2))
  assert.equal(rememberedSpeeds(other, env), measured(3, 4))
})

test('a cache that is broken, or cannot be read or written, fails nothing', () => {
  const env = { XDG_CACHE_HOME: join(root, 'broken') }
  mkdirSync(join(root, 'broken', 'sailwright'), { recursive: true })
  for (const text of ['{', '[]', '{"a": 1}', 'null']) {
    writeFileSync(join(root, 'broken', 'sailwright', 'engine-speeds.json'), text)
    assert.is(rememberedSpeeds(both, env), undefined, text)
  }
  assert.is(rememberSpeeds(both, measured(1, 2), env), true)
  assert.equal(rememberedSpeeds(both, env), measured(1, 2))
  // a file where the folder should be: what a home that cannot be written comes to, for root as well
  writeFileSync(join(root, 'file'), '')
  chmodSync(join(root, 'file'), 0o400)
  const closed = { XDG_CACHE_HOME: join(root, 'file') }
  assert.is(rememberSpeeds(both, measured(1, 2), closed), false)
  assert.is(rememberedSpeeds(both, closed), undefined)
})

test('auto: what is remembered of the engines that load here; a name is a name', async () => {
  const env = { XDG_CACHE_HOME: join(root, 'auto') }
  const here = await presentEngines()
  const auto = async () => {
    const picked = await pickEngine('auto', env)()
    assert.ok(isRight(picked))
    return picked.right
  }
  if (here.length < 2) {
    assert.is((await auto()).engine.name, here[0]!.name)
    assert.match((await auto()).why, /^the other one does not load: [^\n]*[^\s:]$/)
    assert.not.match((await auto()).why, 'Tried')
    return
  }
  if ((await auto()).why.includes('GPU')) return
  const two = await enginesToMeasure(env)
  assert.ok(two)
  assert.match((await auto()).why, `'${called()} doctor' measures`)
  for (const [speeds, name] of [
    [measured(1, 2), 'onnx'],
    [measured(2, 1), 'tensorflow'],
  ] as const) {
    rememberSpeeds(two, speeds, env)
    assert.is((await auto()).engine.name, name)
    assert.match((await auto()).why, /^2\.00 times as fast as \w+ here/)
  }
  assert.is(await enginesToMeasure(env), undefined)
  assert.not.ok(existsSync(join(root, 'auto', 'sailwright', `engine-speeds.json.${process.pid}.tmp`)))
  const named = await pickEngine('tensorflow', env)()
  assert.ok(isRight(named) && named.right.why === 'asked for by name')
})

const swiftShader = 'SwiftShader Device (Subzero) (driver 5.0.0, a program on the processor)'
const gpu: Engine = { ...engine('onnx', 'onnx 1 (webgpu)'), accelerated: true, device: 'webgpu' }
const missing = TE.left(engineError('NotInstalled', 'there is none'))
/** Engines that load as they are told; a GPU is asked for only where a measurement gives reason to. */
const machine = (more: Partial<Loaders> = {}) => {
  const asked: string[] = []
  const loaders: Loaders = {
    ...{ tensorflow: () => TE.right(both[0]), onnx: () => TE.right(both[1]), xla: () => missing },
    webgpu: () => {
      asked.push('webgpu')
      return TE.right(gpu)
    },
    graphics: () => 'A GPU (driver 1.2.3)',
    ...more,
  }
  return { pick: picking(loaders), asked }
}
let place = 0
/** What `auto` takes after a measurement. */
const chosen = async (
  speeds: object | undefined,
  { more = {}, webgpu = true }: { readonly more?: Partial<Loaders>; readonly webgpu?: boolean } = {},
) => {
  const env = { XDG_CACHE_HOME: join(root, `gpu-${place++}`) }
  const { pick, asked } = machine(more)
  const processors = more.tensorflow === undefined ? both : [both[1]]
  if (speeds !== undefined) rememberSpeeds(processors, { ...measured(10, 20), ...speeds }, env)
  const picked = await pick('auto', env, { webgpu })()
  assert.ok(isRight(picked))
  const { engine, why } = picked.right
  return { takes: engine.version, why, asked: asked.length }
}
const faster = {
  samplesPerSecond: { tensorflow: 10, onnx: 20, 'onnx on webgpu': 50 },
  gpu: 'A GPU (driver 1.2.3)',
}

test('a GPU by WebGPU that was measured as the fastest is taken, and where it was fastest is said', async () => {
  const taken = await chosen(faster)
  assert.is(taken.takes, 'onnx 1 (webgpu)')
  assert.match(
    taken.why,
    /^2\.50 times as fast as onnx here on A GPU \(driver 1\.2\.3\), measured 2026-02-03; /,
  )
  const alone = await chosen(
    { ...faster, samplesPerSecond: { onnx: 20, 'onnx on webgpu': 50 } },
    { more: { tensorflow: () => missing } },
  )
  assert.is(alone.takes, 'onnx 1 (webgpu)')
  assert.match(alone.why, '2.50 times as fast as onnx here')
  assert.is((await chosen(faster, { webgpu: false })).takes, 'onnx 1 (cpu)')
})

test('a GPU is not taken unmeasured, nor one in software that is slower, and is not even asked for', async () => {
  const none = await chosen(undefined, { more: { graphics: () => swiftShader } })
  assert.equal([none.takes, none.asked], ['tensorflow 1 (cpu)', 0])
  assert.match(none.why, `'${called()} doctor' measures`)
  const alone = await chosen(undefined, { more: { tensorflow: () => missing } })
  assert.equal([alone.takes, alone.asked], ['onnx 1 (cpu)', 0])
  assert.match(alone.why, `there is none; whether a GPU is faster, '${called()} doctor' measures`)
  const slow = { samplesPerSecond: { tensorflow: 10, onnx: 20, 'onnx on webgpu': 2 }, gpu: swiftShader }
  const software = await chosen(slow, { more: { graphics: () => swiftShader } })
  assert.equal([software.takes, software.asked], ['onnx 1 (cpu)', 0])
  assert.match(software.why, '2.00 times as fast as tensorflow here')
})

test('a GPU that was faster is left out where its losses differ, another is there now, or it does not load', async () => {
  const cases = [
    [{ ...faster, differ: ['onnx on webgpu'] }, {}, "its losses were not the processor's", 0],
    [faster, { graphics: () => 'A GPU (driver 1.2.4)' }, 'the GPU or its driver is another now', 0],
    [faster, { webgpu: () => missing }, 'it does not load now: there is none', 0],
  ] as const
  for (const [speeds, more, why, asked] of cases) {
    const left = await chosen(speeds, { more })
    assert.equal([left.takes, left.asked], ['onnx 1 (cpu)', asked], why)
    assert.match(left.why, '2.00 times as fast as tensorflow here')
    assert.match(left.why, `onnx on webgpu was faster and is left out, because ${why}`)
  }
})

test('what computes on a GPU by its maker’s libraries comes first', async () => {
  const xla = { ...engine('xla', 'xla (a GPU)'), accelerated: true }
  assert.is((await chosen(faster, { more: { xla: () => TE.right(xla) } })).takes, 'xla (a GPU)')
})

test('a device of Vulkan: its name, its driver, whether it is a program', () => {
  const properties = (vendor: number, driver: number, type: number): Uint8Array => {
    const bytes = new Uint8Array(2048)
    new Uint32Array(bytes.buffer).set([4206592, driver, vendor, 49374, type])
    bytes.set(new TextEncoder().encode('Some device'), 20)
    return bytes
  }
  const software = deviceOf(properties(6880, 5 << 22, 4))
  assert.equal(software, { name: 'Some device', driver: '5.0.0', software: true })
  const nvidia = deviceOf(properties(0x10de, ((570 << 22) | (133 << 14) | (20 << 6)) >>> 0, 2))
  assert.equal(nvidia, { name: 'Some device', driver: '570.133.20', software: false })
  assert.is(
    graphicsHere([software, { ...nvidia, name: 'A GPU' }]),
    'A GPU (driver 570.133.20), Some device (driver 5.0.0, a program on the processor)',
  )
  assert.match(graphicsHere([]), process.platform)
})

test.run()
