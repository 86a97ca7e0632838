/** `sailwright run --devices`: which engine it takes, what a run remembers of it, and what is refused. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { cpuPlugin } from '../support/cpu-plugin.ts'
import { commandIn } from '../support/in-process.ts'

const test = suite('run --devices')
const root = mkdtempSync(join(tmpdir(), 'sailwright-run-devices-'))
const before = process.env.SAILWRIGHT_XLA_PLUGIN
test.after(() => {
  rmSync(root, { recursive: true, force: true })
  if (before === undefined) delete process.env.SAILWRIGHT_XLA_PLUGIN
  else process.env.SAILWRIGHT_XLA_PLUGIN = before
})

const command = commandIn(root)
const run = (out: string, ...words: readonly string[]) =>
  command(['run', resolve('test/support/experiments/tiny.ts'), '--out', out, ...words])

test('another engine than xla, and WebGPU, have one device', async () => {
  for (const [said, ...words] of [
    ['--devices 2 is for the engine xla, and --engine is onnx; leave --engine out', '--engine', 'onnx'],
    ['leave out one of --device and --devices 2', '--device', 'webgpu'],
  ] as const) {
    const { code, err } = await run('refused', '--devices', '2', ...words)
    assert.is(code, 2, err)
    assert.match(err, said)
    assert.not(existsSync(join(root, 'refused')))
  }
})

const plugin = await cpuPlugin()
if (plugin !== undefined) {
  process.env.SAILWRIGHT_XLA_PLUGIN = plugin
  test('a run over two devices says so, and goes on over two; another number is told as a change', async () => {
    const began = await run('two', '--devices', '2', '--set', 'fail=3')
    assert.is(began.code, 1, began.err)
    assert.match(began.err, '2 devices were asked for')
    const { engine } = JSON.parse(readFileSync(join(root, 'two', 'manifest.json'), 'utf8'))
    assert.is(engine.name, 'xla')
    assert.is(engine.devices, 2)
    const other = await run('two', '--devices', '1', '--engine', 'xla', '--set', 'fail=3')
    assert.is(other.code, 2, other.err)
    assert.match(other.err, 'devices')
    const on = await run('two', '--set', 'fail=3')
    assert.match(on.err, '2 devices were asked for')
  })
}

if (plugin === undefined) test.skip('there is no plugin for this processor', () => undefined)

test.run()
