/** A weight that is trained and has no gradient: on every engine it decays, and nothing else reaches it. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  axis,
  evaluate,
  fixed,
  gradient,
  input,
  mul,
  ones,
  type Program,
  parameter,
  parametersOf,
  program,
  square,
  stopGradient,
  type Tensor,
  total,
} from '../../src/dsl/index.ts'
import { adamWStep } from '../../src/engine/onnx/adamw.ts'
import { adamWKernel } from '../../src/engine/onnx/adamw-kernel.ts'
import { scalarValue, tensorValue } from '../../src/engine/values.ts'
import { adamW, clipByGlobalNorm, firstMomentKey, isOptimizerKey } from '../../src/optim/index.ts'
import { orThrow } from '../../src/train/task.ts'
import { presentEngines } from '../support/engines.ts'

const engines = await presentEngines()
const test = suite('engines: AdamW of weights without a gradient')

const [Row, Column] = [axis('row', 50), axis('column', 40)]
const n = 2000
const [rate, decay] = [0.1, 0.2]

/** Two weights under one loss, of which the second is behind a stopGradient, beside a bias of one number. */
const training = (limit: number | undefined): Program =>
  program({
    name: 'training',
    functions: {
      step: fixed(() => {
        const [moving, still] = ['moving', 'still'].map((k) => parameter(`${k}.weight`, [Row, Column], ones))
        const bias = parameter('bias', [], ones)
        const loss = total(mul(mul(square(moving!), stopGradient(still!)), bias))
        const weights = new Map<string, Tensor>([...parametersOf(loss)].sort())
        const slopes = gradient(loss, [...weights.values()])
        const { gradients, norm } = clipByGlobalNorm(slopes, limit)
        return {
          outputs: { loss, norm },
          next: adamW(weights, gradients, input('rate', []), { decay }).next,
        }
      }),
    },
  })

for (const limit of [undefined, 0.5])
  for (const engine of engines)
    test(`on ${engine.name}, clip ${limit ?? 'none'}`, async () => {
      const p = training(limit)
      const start = new Map([
        [
          'moving.weight',
          tensorValue(
            'float32',
            [50, 40],
            Float32Array.from({ length: n }, (_, i) => Math.sin(i)),
          ),
        ],
        [
          'still.weight',
          tensorValue(
            'float32',
            [50, 40],
            Float32Array.from({ length: n }, (_, i) => Math.cos(i)),
          ),
        ],
        ['bias', scalarValue(1)],
      ])
      const s = await orThrow(engine.load(p))
      await orThrow(s.write(start))
      const before = await orThrow(s.read())
      await orThrow(s.call('step', { rate: scalarValue(rate) }))
      const after = await orThrow(s.read())
      const [v] = p.functions.get('step')!
      const states = new Map([...before].map(([k, t]) => [k, t.data as ArrayLike<number>]))
      const want = evaluate([...v!.next.values()], { inputs: { rate: [rate] }, states })
      ;[...v!.next.keys()].forEach((key, k) => {
        const got = after.get(key)!.data
        assert.is(got.length, want[k]!.length)
        for (let i = 0; i < got.length; i++)
          assert.ok(Math.abs(got[i]! - want[k]![i]!) <= 2e-6, `${key}[${i}]: ${got[i]} for ${want[k]![i]}`)
      })
      const still = after.get('still.weight')!.data
      for (let i = 0; i < n; i++)
        assert.ok(
          Math.abs(still[i]! - Math.cos(i) * (1 - rate * decay)) <= 1e-6,
          `still[${i}] is ${still[i]}`,
        )
      assert.ok(after.get(firstMomentKey('still.weight'))!.data.every((m) => m === 0))
      assert.ok([...after.keys()].some(isOptimizerKey))
      await orThrow(s.close())
    })

test('the step on the host refuses arrays of different lengths', () => {
  const of = (k: number): Float32Array => new Float32Array(k).fill(1)
  const now = { learningRate: 1, factor: 1, correction1: 1, correction2: 1 }
  const settings = { beta1: 0, beta2: 0, epsilon: 1, decay: 0 }
  for (const step of [adamWStep, adamWKernel])
    for (const [p, m, v, g] of [
      [4, 4, 4, 1],
      [4, 4, 4, 5],
      [4, 3, 4, 4],
      [4, 4, 0, 4],
    ] as const)
      assert.throws(() => step(of(p), of(m), of(v), of(g), now, settings), `a gradient of ${g}`)
})

test.run()
