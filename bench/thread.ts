/**
 * What a thread around an engine costs: the training step of nano in this thread and in a thread of its own, in turns.
 *
 *     node --import tsx bench/thread.ts [--engine onnx|tensorflow] [--rounds N] [--steps N]
 */

import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { benchBatches, benchProgram, nanoStep } from '../src/bench/case.ts'
import { axis, fixed, input, program, slice, type Tensor } from '../src/dsl/index.ts'
import { type EngineName, inWorker, pickEngine, type Session, scalarValue } from '../src/engine/index.ts'
import { orThrow } from '../src/train/index.ts'

const { values } = parseArgs({
  options: { engine: { type: 'string' }, rounds: { type: 'string' }, steps: { type: 'string' } },
})
const rounds = Number(values.rounds ?? 10)
const steps = Number(values.steps ?? 4)

const { engine } = await orThrow(pickEngine((values.engine ?? 'onnx') as EngineName))
const measured = nanoStep(availableParallelism())
const batches = benchBatches(measured)
const sessions = {
  direct: await orThrow(engine.load(benchProgram(measured))),
  thread: await orThrow(inWorker(engine).load(benchProgram(measured))),
}

/** Milliseconds and processor milliseconds of a step, and the losses. */
const block = async (s: Session, from: number) => {
  const [at, cpu] = [performance.now(), process.cpuUsage()]
  const losses: number[] = []
  for (let i = 0; i < steps; i++) {
    const inputs = batches[(from + i) % batches.length]!
    const out = await orThrow(s.call('step', { ...inputs, learning_rate: scalarValue(1e-4) }))
    losses.push(out.loss!.data[0]!)
  }
  const { user, system } = process.cpuUsage(cpu)
  return { wall: (performance.now() - at) / steps, cpu: (user + system) / 1000 / steps, losses }
}
const median = (xs: readonly number[]): number => [...xs].sort((a, b) => a - b)[Math.floor(xs.length / 2)]!

const told: { direct: Awaited<ReturnType<typeof block>>; thread: Awaited<ReturnType<typeof block>> }[] = []
for (let r = -1; r < rounds; r++) {
  const from = (r + 1) * steps
  // the one that goes first changes from round to round
  const first = r % 2 === 0 ? 'direct' : 'thread'
  const a = await block(sessions[first], from)
  const b = await block(sessions[first === 'direct' ? 'thread' : 'direct'], from)
  const both = first === 'direct' ? { direct: a, thread: b } : { direct: b, thread: a }
  if (both.direct.losses.join() !== both.thread.losses.join()) throw new Error('the losses differ')
  if (r >= 0) told.push(both)
}
for (const s of Object.values(sessions)) await orThrow(s.close())

/** The least time of a call that computes next to nothing, with inputs as large as the step's: what a busy machine leaves. */
const passing = async (): Promise<{ readonly direct: number; readonly thread: number }> => {
  const x = Object.values(batches[0]!).reduce((a, b) => (a.data.length > b.data.length ? a : b))
  const axes = x.shape.map((n, i) => axis(`axis${i}`, n))
  const first = fixed(() => ({
    outputs: {
      y: axes.reduce((t: Tensor, a) => slice(t, a.name, 0, 1), input('x', axes, x.dtype)),
    },
  }))
  const p = program({ name: 'passing', functions: { first } })
  const both = [await orThrow(engine.load(p)), await orThrow(inWorker(engine).load(p))] as const
  const least = [Infinity, Infinity]
  for (let i = 0; i < 400; i++)
    for (const [k, s] of both.entries()) {
      const at = performance.now()
      await orThrow(s.call('first', { x }))
      least[k] = Math.min(least[k]!, performance.now() - at)
    }
  for (const s of both) await orThrow(s.close())
  return { direct: least[0]!, thread: least[1]! }
}
const { direct, thread } = await passing()
const line = (what: 'wall' | 'cpu'): string => {
  const ratios = told.map((t) => t.thread[what] / t.direct[what]).sort((a, b) => a - b)
  return `${what === 'wall' ? 'a step' : 'its processor time'}: ${median(told.map((t) => t.direct[what])).toFixed(1)} ms in this thread, ${median(told.map((t) => t.thread[what])).toFixed(1)} in its own; ratio ${median(ratios).toFixed(3)} (${ratios[0]!.toFixed(3)} to ${ratios.at(-1)!.toFixed(3)}, ${rounds} rounds of ${steps} steps)`
}
process.stdout.write(
  `${engine.version}\n${line('wall')}\n${line('cpu')}\na call that computes nothing, with the step's images: ${direct.toFixed(2)} ms in this thread, ${thread.toFixed(2)} in its own, the least of 400\n`,
)
