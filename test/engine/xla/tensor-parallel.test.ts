/** Weights that are dealt out over devices by the names of their axes: heads, hidden, vocabulary, experts. */
import { isLeft } from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  type Axis,
  applyTo,
  axis,
  causal,
  constant,
  crossEntropy,
  fixed,
  gradient,
  input,
  type Program,
  parametersOf,
  program,
} from '../../../src/dsl/index.ts'
import type { Engine, Session } from '../../../src/engine/session.ts'
import { scalarValue, tensorValue } from '../../../src/engine/values.ts'
import { xlaEngine } from '../../../src/engine/xla/index.ts'
import { lower } from '../../../src/engine/xla/lower.ts'
import { type ShardingOptions, shardingOf } from '../../../src/engine/xla/sharding.ts'
import { type Qwen3Config, qwen3, qwen3Experts } from '../../../src/models/index.ts'
import { adamW, clipByGlobalNorm } from '../../../src/optim/index.ts'
import { orThrow } from '../../../src/train/task.ts'
import { cpuPlugin } from '../../support/cpu-plugin.ts'
import { maxRelativeError } from '../../support/fixtures.ts'

const test = suite('xla: tensors over several devices')

/** Qwen3-30B-A3B's layers, an eighth to a thirty-second of their sizes: eight heads a key's, experts narrower than the stream. */
const small = (computation: 'all' | 'chosen'): Qwen3Config => ({
  ...qwen3Experts,
  ...{ vocabSize: 64, hiddenSize: 64, intermediateSize: 192, layers: 1, heads: 16, kvHeads: 4, headDim: 4 },
  moe: { ...qwen3Experts.moe!, experts: 8, perToken: 2, intermediateSize: 24, computation },
})

const [rows, length] = [4, 6]

/** A training step: forward, backward, clipping, AdamW. */
const learner = (c: Qwen3Config): Program =>
  program({
    name: 'learner',
    functions: {
      step: fixed(() => {
        const [batch, token]: readonly Axis[] = [axis('batch', rows), axis('token', length)]
        const ids = input('ids', [batch!, token!], 'int32')
        const labels = input('labels', [batch!, token!], 'int32')
        const positions = constant(
          Int32Array.from({ length: rows * length }, (_, i) => i % length),
          [batch!, token!],
        )
        const context = { token: axis('token', length), positions, mask: causal(axis('token', length)) }
        const loss = crossEntropy(applyTo(qwen3(c, context), ids), labels, 'vocab').mean
        const weights = parametersOf(loss)
        const { gradients } = clipByGlobalNorm(gradient(loss, [...weights.values()]), 0.5)
        const { next } = adamW(weights, gradients, input('rate', []), { epsilon: 1e-3 })
        return { outputs: { loss }, next }
      }),
    },
  })

const plugin = await cpuPlugin()
if (plugin !== undefined) {
  const engineOf = async (options: ShardingOptions): Promise<Engine> => {
    // tests compile more than they compute
    const flags = { xla_backend_optimization_level: 0, xla_llvm_disable_expensive_passes: true }
    return orThrow(xlaEngine({ plugin, flags, ...options }))
  }
  const numbers = (n: number, of: (i: number) => number) =>
    tensorValue(
      'int32',
      [rows, length],
      Int32Array.from({ length: n }, (_, i) => of(i) % 64),
    )

  const trained = async (p: Program, options: ShardingOptions) => {
    const session: Session = await orThrow((await engineOf(options)).load(p, { seed: 5 }))
    const losses: number[] = []
    for (let step = 0; step < 4; step++) {
      const ids = numbers(rows * length, (i) => 7 * i + 11 * step)
      const labels = numbers(rows * length, (i) => 7 * (i + 1) + 11 * step)
      const { loss } = await orThrow(session.call('step', { ids, labels, rate: scalarValue(1e-2) }))
      losses.push(loss!.data[0]!)
    }
    const { states } = await orThrow(session.snapshot())
    // what was read is what is written, wherever the parts lie
    await orThrow(session.restore({ states }))
    const again = await orThrow(session.snapshot())
    for (const [key, value] of states) assert.equal(again.states.get(key)!.data, value.data, key)
    await orThrow(session.close())
    return { losses, states }
  }

  const model = { query: 'model', kv: 'model', hidden: 'model', vocab: 'model' }
  const cases = [
    ['all', { devices: { data: 2, model: 4 }, shard: { ...model, expert: 'model' }, optimizer: 'parted' }],
    ['chosen', { devices: { data: 2, model: 4 }, shard: { ...model, expert: 'model' } }],
    ['chosen', { devices: { data: 1, model: 8 }, shard: model }],
  ] as const
  for (const [computation, options] of cases)
    test(`heads, hidden, vocabulary and experts over eight devices give one device's numbers: ${computation}, ${JSON.stringify(options.devices)}`, async () => {
      const p = learner(small(computation))
      const one = await trained(p, {})
      assert.ok(one.losses.at(-1)! < one.losses[0]!)
      const many = await trained(p, options)
      assert.ok(maxRelativeError(many.losses, one.losses) < 1e-5, `losses ${many.losses} ${one.losses}`)
      for (const [key, { data }] of one.states) {
        const error = maxRelativeError(many.states.get(key)!.data, data)
        assert.ok(error < 1e-5, `${key}: ${error} with ${JSON.stringify(options)}`)
      }
    })
}

test('each device has its part of every matrix, and experts are dealt out where they are stacked', () => {
  const p = learner(small('chosen'))
  const made = pipe(
    {
      devices: { data: 2, model: 4 },
      shard: { query: 'model', kv: 'model', hidden: 'model', expert: 'model' },
    },
    shardingOf,
  )
  if (isLeft(made)) throw new Error(made.left.message)
  const [variant] = p.functions.get('step')!
  const { text, arguments: args } = lower('step', variant!, {
    shared: { sharding: made.right, states: p.states },
  })
  const signature = text.split('\n').find((line) => line.includes('@main'))!
  const given = signature.slice(0, signature.indexOf('->')).split('%').slice(1)
  const said = (ending: string): string =>
    given[args.findIndex((a) => a.from === 'state' && a.key === `model.layers.0.${ending}.weight`)]!
  for (const columns of ['self_attn.q_proj', 'self_attn.k_proj', 'mlp.experts.3.gate_proj', 'mlp.gate'])
    assert.match(said(columns), '{devices=[4,1,2]<=[2,4]T(1,0) last_tile_dim_replicate}')
  for (const rowsOf of ['self_attn.o_proj', 'mlp.experts.3.down_proj'])
    assert.match(said(rowsOf), '{devices=[1,4,2]<=[2,4]T(1,0) last_tile_dim_replicate}')
  assert.match(said('input_layernorm'), '{replicated}')
  assert.match(text, /@Sharding.*devices=\[4,1,1,2\].*tensor<8x24x64xf32>/)
})

if (plugin === undefined) test.skip('there is no plugin for this processor', () => undefined)

test.run()
