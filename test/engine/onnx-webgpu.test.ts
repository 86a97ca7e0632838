import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { benchProgram, nanoStep } from '../../src/bench/index.ts'
import { lower } from '../../src/engine/onnx/lower.ts'
import { command, loader, moduleAt } from '../support/program.ts'
import { vulkanEnvironment } from '../support/vulkan.ts'

test('on webgpu a training step is of operations that are computed there, optimizer and all, with no node to name a state', () => {
  const [variant] = benchProgram({ ...nanoStep(1), batch: 1, length: 96 }).functions.get('step')!
  const lowered = lower('step', variant!, { mode: 'webgpu' })
  const { node, output } = lowered.model.graph!
  const used = new Set(node!.map((n) => n.opType))
  for (const op of ['FusedMatMul', 'LogSoftmax', 'OneHot', 'Or', 'Identity']) assert.not.ok(used.has(op), op)
  assert.ok(
    node!.every((n) => (n.domain ?? '') === ''),
    'no operation of the runtime’s own',
  )
  assert.is(lowered.updates.length, 0)
  assert.ok([...lowered.next.keys()].some((key) => key.startsWith('optimizer.')))
  assert.is(output!.length, lowered.fetches.length)
})

test('on webgpu training is what it is on the CPU, in a thread too; states are read, marked, swapped', () => {
  const env = vulkanEnvironment()
  if (env === undefined) {
    process.stdout.write('webgpu: skipped, since there is no Vulkan driver here, nor Chromium’s\n')
    return
  }
  const script = moduleAt('test/support/webgpu/steps.ts')
  const ended = spawnSync(process.execPath, [...loader, script], {
    ...{ encoding: 'utf8', env: { ...process.env, ...env } },
  })
  assert.is(ended.status, 0, ended.stderr)
  const { cpu, webgpu, thread, swapped } = JSON.parse(ended.stdout)
  assert.match(webgpu.version, /\(webgpu\)/)
  const close = (a: number, b: number, what: string): void =>
    assert.ok(Math.abs(a - b) <= 1e-5 * Math.abs(b), `${what}: ${a} and ${b}`)
  for (const one of [webgpu, thread]) {
    one.losses.forEach((l: number, i: number) => {
      close(l, cpu.losses[i], `loss ${i}`)
    })
    close(one.next, cpu.next, 'the loss after a mark')
    assert.is(one.again, one.next, 'from a mark it goes on to the bit')
    one.weight.forEach((w: number, i: number) => {
      assert.ok(Math.abs(w - cpu.weight[i]) < 1e-4, `weight ${i}: ${w} and ${cpu.weight[i]}`)
    })
  }
  assert.ok(cpu.losses[5] < cpu.losses[0], 'it learns')
  assert.equal(swapped, [
    ['a', 4, 5, 6],
    ['b', 1, 2, 3],
  ])
})

test('what WebGPU has here is named; a measurement decides, and a program on the processor loses it', () => {
  const env = vulkanEnvironment()
  if (env === undefined) return
  const cache = mkdtempSync(join(tmpdir(), 'sailwright-webgpu-'))
  try {
    const script = moduleAt('test/support/webgpu/measured.ts')
    const ended = spawnSync(process.execPath, [...loader, script, cache], {
      ...{ encoding: 'utf8', env: { ...process.env, ...env } },
    })
    assert.is(ended.status, 0, ended.stderr)
    const { speeds, agrees, takes, why } = JSON.parse(ended.stdout)
    assert.is(agrees, true, 'the losses are those of the processor')
    const { onnx, 'onnx on webgpu': webgpu } = speeds.samplesPerSecond
    assert.ok(onnx > 0 && webgpu > 0)
    if (speeds.gpu.includes('a program on the processor')) {
      assert.match(speeds.gpu, /^\S.* \(driver [\d.]+, a program on the processor\)$/)
      assert.ok(onnx > webgpu, `${onnx} and ${webgpu} samples a second`)
    }
    assert.is(takes, webgpu > onnx ? 'onnx on webgpu' : 'onnx', why)
  } finally {
    rmSync(cache, { recursive: true, force: true })
  }
})

test('doctor names WebGPU where it finds a GPU; a run refuses it on another engine', () => {
  const said = (...words: readonly string[]) => {
    const env = { ...process.env, ...vulkanEnvironment() }
    return spawnSync(process.execPath, [...command, ...words], { encoding: 'utf8', env })
  }
  const recipe = fileURLToPath(new URL('../../examples/recipe.ts', import.meta.url))
  const refused = said('run', recipe, '--engine', 'tensorflow', '--device', 'webgpu')
  assert.is(refused.status, 2, refused.stderr)
  assert.match(refused.stderr, /--device webgpu is for the engine onnx, and --engine is tensorflow/)
  if (vulkanEnvironment() === undefined) return
  const { engines } = JSON.parse(said('doctor', '--no-measure', '--json').stdout)
  const found = engines.filter((e: { name: string }) => e.name === 'onnx')
  assert.equal(
    found.map((e: { device?: string; loads: boolean }) => [e.device, e.loads]),
    [
      [undefined, true],
      ['webgpu', true],
    ],
  )
})

test('where WebGPU finds no GPU, that is said when the engine is loaded', () => {
  const engine = moduleAt('src/engine/onnx/index.ts')
  const script = `import(${JSON.stringify(engine)}).then(async ({ onnxEngine }) => console.log(JSON.stringify(await onnxEngine({ device: 'webgpu' })())))`
  const none = { VK_DRIVER_FILES: '/none.json', VK_ICD_FILENAMES: '/none.json' }
  const ended = spawnSync(process.execPath, [...loader, '-e', script], {
    ...{ encoding: 'utf8', env: { ...process.env, ...none } },
  })
  if (process.platform !== 'linux') return
  const { _tag, left } = JSON.parse(ended.stdout)
  assert.is(_tag, 'Left')
  assert.is(left._tag, 'NotInstalled')
  assert.match(left.message, /WebGPU finds no GPU here: .*libvulkan/)
})

test.run()
