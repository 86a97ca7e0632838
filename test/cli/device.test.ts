/** `sailwright run --device`: what a run remembers of where it computes, and that it goes on there or is refused. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { commandIn } from '../support/in-process.ts'
import { command } from '../support/program.ts'
import { vulkanEnvironment } from '../support/vulkan.ts'

const test = suite('run --device')
const root = mkdtempSync(join(tmpdir(), 'sailwright-run-device-'))
test.after(() => rmSync(root, { recursive: true, force: true }))

const words = (out: string, ...more: readonly string[]) => [
  ...['run', resolve('test/support/experiments/tiny.ts'), '--out', join(root, out), '--set', 'fail=1'],
  ...more,
]
const here = commandIn(root)
const manifestOf = (out: string): string => join(root, out, 'manifest.json')
const began = (out: string) => JSON.parse(readFileSync(manifestOf(out), 'utf8')).engine

test('a run that began on the processor does not become one on a GPU, nor the other way', async () => {
  assert.is((await here(words('cpu', '--engine', 'onnx'))).code, 1)
  assert.is(began('cpu').device, undefined)
  const manifest = JSON.parse(readFileSync(manifestOf('cpu'), 'utf8'))
  writeFileSync(
    manifestOf('cpu'),
    JSON.stringify({ ...manifest, engine: { ...manifest.engine, device: 'webgpu' } }),
  )
  const elsewhere = await here(words('cpu', '--device', 'cpu', '--allow-changed-code'))
  assert.is(elsewhere.code, 2, elsewhere.err)
  assert.match(elsewhere.err, 'device: "webgpu" then, "cpu" now')
  // where a GPU is, it would go on
  if (process.platform !== 'linux' || process.env.SAILWRIGHT_TEST_VULKAN === '1') return
  const kept = await here(words('cpu'))
  assert.is(kept.code, 1, kept.err)
  assert.match(kept.err, 'WebGPU finds no GPU here')
  const other = await here(words('cpu', '--weights', 'stored'))
  assert.is(other.code, 2, other.err)
  assert.match(other.err, 'device: "webgpu" then, "cpu" now')
})

test('a run that began on a GPU says so in its manifest, and where there is none it is not carried on elsewhere', async () => {
  const env = vulkanEnvironment()
  if (env === undefined) {
    process.stdout.write('webgpu: skipped, since there is no Vulkan driver here, nor Chromium’s\n')
    return
  }
  const first = spawnSync(process.execPath, [...command, ...words('gpu', '--device', 'webgpu')], {
    ...{ encoding: 'utf8', env: { ...process.env, ...env, XDG_CACHE_HOME: join(root, 'cache') } },
  })
  assert.match(first.stderr, 'this step was told to fail')
  assert.equal([began('gpu').name, began('gpu').device], ['onnx', 'webgpu'])
  const on = await here(words('gpu'))
  if (process.env.SAILWRIGHT_TEST_VULKAN === '1') assert.match(on.err, '(webgpu): the run began with it')
  else assert.match(on.err, 'WebGPU finds no GPU here')
})

test.run()
