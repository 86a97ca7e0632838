/** `sailwright run --compile xla`: which engine it takes, what a run remembers of it, and what is refused. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { compiledTensorflow } from '../support/engines.ts'
import { commandIn } from '../support/in-process.ts'

const test = suite('run --compile')
const root = mkdtempSync(join(tmpdir(), 'sailwright-run-compile-'))
test.after(() => rmSync(root, { recursive: true, force: true }))

const command = commandIn(root)
const run = (out: string, ...words: readonly string[]) =>
  command(['run', resolve('test/support/experiments/tiny.ts'), '--out', out, ...words])

test('another engine than tensorflow has no compiler to be told of', async () => {
  for (const [said, ...words] of [
    ["compile is 'xla', which is for the engine tensorflow; onnx has no compiler", '--engine', 'onnx'],
    ['--compile is for the engine tensorflow, and --device webgpu for onnx', '--device', 'webgpu'],
  ] as const) {
    const { code, err } = await run('refused', '--compile', 'xla', ...words)
    assert.is(code, 2, err)
    assert.match(err, said)
    assert.not(existsSync(join(root, 'refused')))
  }
})

const tensorflow = await compiledTensorflow()
if (tensorflow.engine === undefined)
  test.skip(`tensorflow is not here: ${tensorflow.why.message.split('\n')[0]}`, () => undefined)
else
  test('a run that is compiled says so, goes on so, and in its precision', async () => {
    const began = await run('one', '--compile', 'xla', '--precision', 'bfloat16', '--set', 'fail=1')
    assert.is(began.code, 1, began.err)
    const manifest = () => JSON.parse(readFileSync(join(root, 'one', 'manifest.json'), 'utf8'))
    const { name, compile, precision } = manifest().engine
    assert.equal([name, compile, precision], ['tensorflow', 'xla', 'bfloat16'])
    const on = await run('one', '--set', 'fail=1')
    assert.is(on.code, 1, on.err)
    assert.not.match(on.err, 'another')
    assert.equal(manifest().engine.compile, 'xla')
    const plain = await run('one', '--engine', 'onnx', '--set', 'fail=1')
    assert.is(plain.code, 2, plain.err)
    assert.match(plain.err, 'engine')
  })

test.run()
