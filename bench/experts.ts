/**
 * A block of experts, forward and backward, computed both ways in turns on each engine: every token through all experts, and
 * every token through its own. Loss and gradient norm of both are compared. Where other programs use the machine,
 * processor time says more than wall time.
 *
 *     node --import tsx bench/experts.ts [--engine onnx|tensorflow] [--experts N] [--chosen N] [--tokens N] [--embed N] [--hidden N] [--rounds N]
 */
import { loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import {
  add,
  axis,
  fixed,
  gradient,
  input,
  mean,
  mul,
  parametersOf,
  program,
  type Tensor,
  total,
} from '../src/dsl/index.ts'
import { type Engine, onnxEngine, type Session, tensorflowEngine } from '../src/engine/index.ts'
import { type ExpertComputation, mixtureOfExperts } from '../src/models/index.ts'
import { random } from '../src/random/index.ts'
import { orThrow } from '../src/train/index.ts'

const { values } = parseArgs({
  options: {
    ...{ engine: { type: 'string' }, experts: { type: 'string' }, chosen: { type: 'string' } },
    ...{ tokens: { type: 'string' }, embed: { type: 'string' }, hidden: { type: 'string' } },
    ...{ rounds: { type: 'string' } },
  },
})
const number = (name: keyof typeof values, otherwise: number): number => Number(values[name] ?? otherwise)
const [experts, perToken, tokens] = [number('experts', 128), number('chosen', 8), number('tokens', 256)]
const [size, hidden, rounds] = [number('embed', 512), number('hidden', 192), number('rounds', 5)]

/** Loss Σ y² / n alone, and with the norm of the gradients of all weights and of the input. */
const built = (computation: ExpertComputation) => {
  const embed = axis('embed', size)
  const x = input('x', [axis('token', tokens), embed])
  const config = { experts, perToken, intermediateSize: hidden, normalise: true, computation }
  const y = mixtureOfExperts(config, embed).apply(x, 'mlp')
  const loss = mean(mul(y, y), 'token', 'embed')
  const norms = gradient(loss, [x, ...parametersOf(loss).values()]).map((g): Tensor => total(mul(g, g)))
  const norm = norms.reduce((a, b) => add(a, b))
  return program({
    name: computation,
    functions: {
      forward: fixed(() => ({ outputs: { loss } })),
      both: fixed(() => ({ outputs: { loss, norm } })),
    },
  })
}

const { next } = random('bench experts', 0)
const x = {
  shape: [tokens, size],
  dtype: 'float32' as const,
  data: Float32Array.from({ length: tokens * size }, () => 2 * next() - 1),
}

const median = (xs: readonly number[]): number => [...xs].sort((a, b) => a - b)[Math.floor(xs.length / 2)]!

const timed = async (session: Session, call: string) => {
  const [began, cpu] = [performance.now(), process.cpuUsage()]
  const out = await orThrow(session.call(call, { x }))
  const used = process.cpuUsage(cpu)
  return { wall: performance.now() - began, cpu: (used.user + used.system) / 1000, out }
}

const engines: readonly (readonly [string, () => Promise<Engine>])[] = [
  ['onnx', () => orThrow(onnxEngine())],
  ['tensorflow', () => orThrow(tensorflowEngine())],
]
console.log(
  `${experts} experts, ${perToken} a token, ${tokens} tokens, embed ${size}, hidden ${hidden}; load ${loadavg()[0]!.toFixed(1)}`,
)
for (const [name, make] of engines) {
  if (values.engine !== undefined && values.engine !== name) continue
  const engine = await make()
  const [all, chosen] = await Promise.all(
    (['all', 'chosen'] as const).map((c) => orThrow(engine.load(built(c)))),
  )
  for (const call of ['forward', 'both']) {
    const times = {
      all: [] as { wall: number; cpu: number }[],
      chosen: [] as { wall: number; cpu: number }[],
    }
    const [a, b] = [await timed(all!, call), await timed(chosen!, call)]
    const off = Object.keys(a.out).map((k) =>
      Math.abs(Number(a.out[k]!.data[0]) / Number(b.out[k]!.data[0]) - 1),
    )
    for (let i = 0; i < rounds; i++) {
      times.all.push(await timed(all!, call))
      times.chosen.push(await timed(chosen!, call))
    }
    const row = (['wall', 'cpu'] as const).map((k) => {
      const [u, v] = [median(times.all.map((t) => t[k])), median(times.chosen.map((t) => t[k]))]
      const ratios = times.all.map((t, i) => t[k] / times.chosen[i]![k])
      return `${k} ${u.toFixed(0)} and ${v.toFixed(0)} ms, × ${median(ratios).toFixed(1)} (${Math.min(...ratios).toFixed(1)} to ${Math.max(...ratios).toFixed(1)})`
    })
    console.log(
      `${name}, ${call === 'both' ? 'forward and backward' : call}: ${row.join('; ')}; apart by ${Math.max(...off).toExponential(1)}`,
    )
  }
  await orThrow(all!.close())
  await orThrow(chosen!.close())
}
