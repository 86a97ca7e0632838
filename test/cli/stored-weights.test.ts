/** `sailwright run --weights stored`: which engine it takes, what a run remembers of it, and what is refused. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { commandIn } from '../support/in-process.ts'

const test = suite('run --weights')
const root = mkdtempSync(join(tmpdir(), 'sailwright-run-weights-'))
test.after(() => rmSync(root, { recursive: true, force: true }))

const command = commandIn(root)
const run = (out: string, ...words: readonly string[]) =>
  command(['run', resolve('test/support/experiments/tiny.ts'), '--out', out, '--set', 'fail=1', ...words])
const began = (out: string) => JSON.parse(readFileSync(join(root, out, 'manifest.json'), 'utf8')).engine

test('what holds no weights in 16 bits is told so before anything is made', async () => {
  for (const [said, ...words] of [
    ['--weights stored is for the engine onnx on a processor', '--device', 'webgpu'],
    ["compile is 'xla', which is for the engine tensorflow", '--engine', 'onnx', '--compile', 'xla'],
  ] as const) {
    const { code, err } = await run('refused', '--weights', 'stored', ...words)
    assert.is(code, 2, err)
    assert.match(err, said)
    assert.not(existsSync(join(root, 'refused')))
  }
})

test('a run that holds weights as they are stored says so and goes on so', async () => {
  const first = await run('one', '--weights', 'stored')
  assert.is(first.code, 1, first.err)
  assert.equal([began('one').name, began('one').weights], ['onnx', 'stored'])
  const on = await run('one')
  assert.is(on.code, 1, on.err)
  assert.match(on.err, 'which was there already')
  const other = await run('one', '--weights', 'float32')
  assert.is(other.code, 2, other.err)
  assert.match(other.err, 'weights: "stored" then, "float32" now')
  const allowed = await run('one', '--weights', 'float32', '--allow-changed-code')
  assert.match(allowed.err, 'which was there already')
})

test('a run that began in float32 does not become one in 16 bits', async () => {
  assert.is((await run('two', '--engine', 'onnx')).code, 1)
  assert.is(began('two').weights, undefined)
  const other = await run('two', '--weights', 'stored')
  assert.match(other.err, 'weights: "float32" then, "stored" now')
})

test.run()
