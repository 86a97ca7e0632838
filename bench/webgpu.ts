/**
 * The training step of nano on the onnx engine, on this machine's CPU and through WebGPU on its GPU: milliseconds a step,
 * and whether the losses of the first steps agree.
 *
 *     node --import tsx bench/webgpu.ts [--steps N] [--out result.json]
 */
import { writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { benchBatches, benchProgram, nanoStep, spread } from '../src/bench/index.ts'
import { onnxEngine, scalarValue } from '../src/engine/index.ts'
import { orThrow } from '../src/train/index.ts'

const { values } = parseArgs({
  options: { steps: { type: 'string', default: '30' }, out: { type: 'string' } },
})
const nano = nanoStep(1)
const feeds = benchBatches(nano).map((b) => ({ ...b, learning_rate: scalarValue(nano.learningRate) }))

const measured = async (device: 'cpu' | 'webgpu', steps: number) => {
  const engine = await orThrow(onnxEngine({ device }))
  const began = performance.now()
  const session = await orThrow(engine.load(benchProgram(nano)))
  const losses: number[] = []
  const times: number[] = []
  let first = 0
  for (let i = 0; i < steps; i++) {
    const at = performance.now()
    losses.push(Number((await orThrow(session.call('step', feeds[i % feeds.length]!))).loss!.data[0]))
    if (i === 0) first = (performance.now() - began) / 1000
    else times.push(performance.now() - at)
  }
  await orThrow(session.close())
  return { device, version: engine.version, firstStepSeconds: first, milliseconds: spread(times), losses }
}

const webgpu = await measured('webgpu', Number(values.steps))
const cpu = await measured('cpu', Math.min(12, Number(values.steps)))
const agree = cpu.losses.map((l, i) => Math.abs(webgpu.losses[i]! - l) / Math.abs(l))
const result = { cpu, webgpu, largestDifference: Math.max(...agree) }
for (const r of [cpu, webgpu])
  process.stdout.write(
    `nano, 16 × 128 tokens, ${r.version}: ${r.milliseconds.median.toFixed(1)} ms a step, first step after ${r.firstStepSeconds.toFixed(1)} s\n`,
  )
process.stdout.write(
  `losses of ${cpu.losses.length} steps differ by at most ${result.largestDifference.toExponential(1)} relative\n`,
)
if (values.out !== undefined) await writeFile(values.out, JSON.stringify(result, undefined, 1))
if (!(result.largestDifference < 1e-5)) process.exitCode = 1
