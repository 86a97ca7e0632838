/** Which engine `auto` takes, and why: what is remembered decides between two that load. */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isRight } from 'fp-ts/lib/Either.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { fasterOf, pickEngine, unmeasured } from '../../src/engine/pick.ts'
import type { Engine, EngineName } from '../../src/engine/session.ts'
import { rememberedSpeeds, rememberSpeeds } from '../../src/engine/speeds.ts'
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
  assert.is(fasterOf(both, measured(200, 100)).engine.name, 'tensorflow')
  assert.match(fasterOf(both, measured(200, 100)).why, '2.00 times as fast as onnx')
  assert.equal(fasterOf(both, measured(0, 100)).why, 'tensorflow failed when it was measured')
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
  const two = await unmeasured(env)
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
  assert.is(await unmeasured(env), undefined)
  assert.not.ok(existsSync(join(root, 'auto', 'sailwright', `engine-speeds.json.${process.pid}.tmp`)))
  const named = await pickEngine('tensorflow', env)()
  assert.ok(isRight(named) && named.right.why === 'asked for by name')
})

test.run()
