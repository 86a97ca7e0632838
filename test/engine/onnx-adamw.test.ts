import * as fc from 'fast-check'
import { isLeft } from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { evaluate } from '../../src/dsl/evaluate.ts'
import {
  add,
  andThen,
  applyTo,
  at,
  axis,
  gradient,
  input,
  mean,
  mul,
  parameter,
  parametersOf,
  rmsNorm,
  scalar,
  square,
  sub,
  sum,
  swiGlu,
  type Tensor,
  total,
} from '../../src/dsl/index.ts'
import { normal } from '../../src/dsl/init.ts'
import { buckets, fixed, type Program, program, type Variant } from '../../src/dsl/program.ts'
import { adamWUpdates } from '../../src/engine/adamw-updates.ts'
import type { EngineError } from '../../src/engine/error.ts'
import { adamWStep } from '../../src/engine/onnx/adamw.ts'
import { adamWKernel } from '../../src/engine/onnx/adamw-kernel.ts'
import { onnxEngine } from '../../src/engine/onnx/index.ts'
import { lower } from '../../src/engine/onnx/lower.ts'
import { scalarValue, tensorValue } from '../../src/engine/values.ts'
import { adamW, clipByGlobalNorm } from '../../src/optim/index.ts'

const must = async <A>(task: TaskEither<EngineError, A>): Promise<A> => {
  const got = await task()
  if (isLeft(got)) throw new Error(`${got.left._tag}: ${got.left.message}`)
  return got.right
}

const In = axis('in', 5)
const Out = axis('out', 3)

/** A weight and a bias under a quadratic loss, clipped. */
const training = (limit: number | undefined): Program =>
  program({
    name: 'training',
    functions: {
      step: fixed(() => {
        const x = input('x', [In])
        const w = parameter('w', [Out, In], normal(1))
        const b = parameter('b', [In], normal(1))
        const loss = sum(sum(square(mul(mul(w, x), b)), 'in'), 'out')
        const parameters = parametersOf(loss)
        const { gradients, norm } = clipByGlobalNorm(gradient(loss, [...parameters.values()]), limit)
        const rate = (key: string): number => (key === 'b' ? 0.5 : 1)
        return {
          outputs: { loss, norm },
          next: adamW(parameters, gradients, input('rate', []), { rate }).next,
        }
      }),
    },
  })

const variantOf = (p: Program): Variant => p.functions.get('step')![0]!

const updates = suite('onnx: AdamW beside the graph')

/** Calls `step` so many times and compares outputs and states with what the graph's definition makes of the same. */
const agreesOver = async (
  p: Program,
  steps: number,
  inputsAt: (i: number) => readonly number[],
): Promise<void> => {
  const s = await must((await must(onnxEngine())).load(p, { seed: 5 }))
  const variant = variantOf(p)
  const keys = [...variant.next.keys()]
  const initial = [...(await must(s.read()))].map(([k, v]) => [k, Array.from(v.data)] as const)
  const states = new Map<string, ArrayLike<number>>(initial)
  for (let i = 0; i < steps; i++) {
    const inputs = { x: tensorValue('float32', [5], inputsAt(i)), rate: scalarValue(0.01) }
    const out = await must(s.call('step', inputs))
    const feeds = { inputs: { x: inputs.x.data, rate: inputs.rate.data }, states: new Map(states) }
    const [loss, ...next] = evaluate([variant.outputs.loss!, ...variant.next.values()], feeds)
    assert.ok(Math.abs(out.loss!.data[0]! - loss![0]!) <= 1e-5 * Math.abs(loss![0]!))
    keys.forEach((k, j) => {
      states.set(k, next[j]!)
    })
  }
  for (const [key, v] of await must(s.read()))
    for (let i = 0; i < v.data.length; i++) {
      const want = states.get(key)![i]!
      assert.ok(
        Math.abs(v.data[i]! - want) <= 1e-6 * Math.max(1, Math.abs(want)),
        `${key}[${i}]: ${v.data[i]} for ${want}`,
      )
    }
  await must(s.close())
}

for (const limit of [undefined, 0.5])
  updates(`agrees with its definition over ten steps, clip ${limit ?? 'none'}`, () =>
    agreesOver(training(limit), 10, (i) => [0.1 * i, -1, 0.5, 2 - i, 0.3]),
  )

/** Next states of two weights that look alike, put together otherwise than one AdamW each. */
const otherwise: Readonly<
  Record<string, (next: Map<string, Tensor>, other: ReadonlyMap<string, Tensor>) => void>
> = {
  'a moment of other settings': (next, other) =>
    next.set('optimizer.exp_avg.w', other.get('optimizer.exp_avg.w')!),
  'a second moment of other settings': (next, other) =>
    next.set('optimizer.exp_avg_sq.w', other.get('optimizer.exp_avg_sq.w')!),
  'a moment of the other weight': (next) => next.set('optimizer.exp_avg.w', next.get('optimizer.exp_avg.b')!),
  'the weights change places': (next) => {
    const [w, b] = [next.get('w')!, next.get('b')!]
    next.set('w', b)
    next.set('b', w)
  },
  'moments change places': (next) => {
    const [m, v] = [next.get('optimizer.exp_avg.w')!, next.get('optimizer.exp_avg_sq.w')!]
    next.set('optimizer.exp_avg.w', v)
    next.set('optimizer.exp_avg_sq.w', m)
  },
  'a first moment stays': (next) => next.delete('optimizer.exp_avg.w'),
}

for (const [what, change] of Object.entries(otherwise))
  updates(`what is no whole AdamW is computed as the graph says: ${what}`, () =>
    agreesOver(
      program({
        name: 'otherwise',
        functions: {
          step: fixed(() => {
            const [w, b] = [parameter('w', [In], normal(1)), parameter('b', [In], normal(2))]
            const loss = total(square(add(mul(input('x', [In]), w), b)))
            const parameters = parametersOf(loss)
            // a factor on either side
            const [gw, gb] = gradient(loss, [w, b])
            const gradients = [mul(gw!, scalar(0.5)), mul(scalar(0.25), gb!)]
            const rate = input('rate', [])
            const next = new Map(adamW(parameters, gradients, rate).next)
            change(next, adamW(parameters, gradients, rate, { beta1: 0.5, beta2: 0.6 }).next)
            return { outputs: { loss }, next }
          }),
        },
      }),
      // one step: what change places is no moment any more
      1,
      () => [0.1, -1, 0.5, 2, 0.3],
    ),
  )

updates('no weight and no moment leaves the graph, and a clip’s factor is applied outside', () => {
  const lowered = lower('step', variantOf(training(0.5)))
  assert.equal(lowered.updates.map((u) => u.parameter).sort(), ['b', 'w'])
  assert.equal([...lowered.next.keys()], ['optimizer.step'])
  assert.ok(lowered.updates.every((u) => u.factor !== undefined))
  assert.equal([...lowered.states.values()].sort(), ['b', 'optimizer.step', 'w'])
  const exported = lower('step', variantOf(training(0.5)), { mode: 'export' })
  assert.is(exported.updates.length, 0)
  assert.is(exported.next.size, 7)
})

updates('a gradient that is handed out stays what it was, in each bucket', async () => {
  const p = program({
    name: 'handed out',
    functions: {
      step: buckets([{ rows: 2 }, { rows: 3 }], ({ rows }) => {
        const w = parameter('w', [In], normal(1))
        const b = parameter('b', [In], normal(1))
        const x = input('x', [axis('row', rows!), In])
        const loss = total(square(add(mul(x, w), b)))
        const parameters = parametersOf(loss)
        const gradients = gradient(loss, [w, b])
        const named = new Map([
          ['w', gradients[0]!],
          ['b', gradients[1]!],
        ])
        return { outputs: { g: gradients[0]! }, next: adamW(parameters, named, input('rate', []), {}).next }
      }),
    },
  })
  const s = await must((await must(onnxEngine())).load(p, { seed: 5 }))
  const rate = scalarValue(0.1)
  const call = async (rows: number) => {
    const x = Array.from({ length: rows * 5 }, (_, i) => Math.sin(i))
    const before = await must(s.read(['w', 'b']))
    const out = await must(s.call('step', { x: tensorValue('float32', [rows, 5], x), rate }))
    const [ws, bs] = [before.get('w')!.data, before.get('b')!.data]
    const want = Array.from({ length: 5 }, (_, i) =>
      Array.from({ length: rows }, (_, r) => x[r * 5 + i]!).reduce(
        (n, v) => n + 2 * v * (v * ws[i]! + bs[i]!),
        0,
      ),
    )
    return { got: out.g!.data, want }
  }
  const calls = [await call(2), await call(3), await call(2)]
  for (const { got, want } of calls)
    want.forEach((v, i) => {
      assert.ok(Math.abs(got[i]! - v) < 1e-4, `${i}: ${got[i]} for ${v}`)
    })
  await must(s.close())
})

updates('half an update stays with the graph', () => {
  const variant = variantOf(training(undefined))
  const next = new Map<string, Tensor>([...variant.next].filter(([k]) => k !== 'optimizer.exp_avg_sq.w'))
  assert.equal(
    adamWUpdates({ ...variant, next }).map((u) => u.parameter),
    ['b'],
  )
})

updates('one step is the formula, whatever the settings', () => {
  const unit = fc.double({ min: 0, max: 0.999, noNaN: true })
  const number = fc.float({ min: -4, max: 4, noNaN: true })
  fc.assert(
    fc.property(
      fc.array(fc.tuple(number, number, fc.float({ min: 0, max: 4, noNaN: true }), number), {
        minLength: 1,
        maxLength: 9,
      }),
      unit,
      unit,
      fc.double({ min: 1e-4, max: 1, noNaN: true }),
      fc.double({ min: 0.01, max: 1, noNaN: true }),
      (rows, beta1, beta2, rate, factor) => {
        const [p, m, v, g] = [0, 1, 2, 3].map((i) => Float32Array.from(rows, (r) => r[i]!)) as [
          Float32Array,
          Float32Array,
          Float32Array,
          Float32Array,
        ]
        const settings = { beta1, beta2, epsilon: 1e-6, decay: 0.1 }
        const [c1, c2] = [0.7, 0.3]
        adamWStep(p, m, v, g, { learningRate: rate, factor, correction1: c1, correction2: c2 }, settings)
        rows.forEach(([p0, m0, v0, g0], i) => {
          const gradientOf = g0 * factor
          const m1 = beta1 * m0 + (1 - beta1) * gradientOf
          const v1 = beta2 * v0 + (1 - beta2) * gradientOf ** 2
          const p1 = p0 * (1 - rate * 0.1) - (rate * (m1 / c1)) / (Math.sqrt(v1 / c2) + 1e-6)
          for (const [got, want] of [
            [m[i]!, m1],
            [v[i]!, v1],
            [p[i]!, p1],
          ] as const)
            assert.ok(Math.abs(got - want) <= 1e-6 * Math.max(1, Math.abs(want)), `${got} for ${want}`)
        })
      },
    ),
  )
})

updates('four at a time is one at a time, at every length', () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 8185, max: 8200 }), fc.constant(20000)),
      fc.double({ min: 0.01, max: 1, noNaN: true }),
      (n, factor) => {
        const wave = (k: number, floor: number): Float32Array =>
          Float32Array.from({ length: n }, (_, i) => Math.max(floor, Math.sin(i * (k + 1.3) + k)))
        const arrays = [wave(0, -1), wave(1, -1), wave(2, 0), wave(3, -1)] as const
        const copies = arrays.map((a) => a.slice()) as unknown as typeof arrays
        const now = { learningRate: 0.01, factor, correction1: 0.1, correction2: 0.05 }
        const settings = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, decay: 0.1 }
        adamWStep(...arrays, now, settings)
        adamWKernel(...copies, now, settings)
        arrays.forEach((a, k) => {
          for (let i = 0; i < n; i++)
            assert.ok(Math.abs(a[i]! - copies[k]![i]!) <= 1e-6 * Math.max(1, Math.abs(a[i]!)), `${k}[${i}]`)
        })
      },
    ),
    { numRuns: 40 },
  )
})

updates(
  'the same seed gives the same bits with several threads, and so does going on from a snapshot',
  async () => {
    const [batch, embed] = [axis('batch', 300), axis('embed', 96)]
    const p = program({
      name: 'wide',
      functions: {
        step: fixed(() => {
          const x = input('x', [batch, embed])
          const y = pipe(at('norm')(rmsNorm(embed)), andThen(at('mlp')(swiGlu(embed, axis('hidden', 160)))))
          const loss = mean(square(sub(applyTo(y, x), x)), 'batch', 'embed')
          const parameters = parametersOf(loss)
          const { gradients, norm } = clipByGlobalNorm(gradient(loss, [...parameters.values()]), 1)
          return { outputs: { loss, norm }, next: adamW(parameters, gradients, scalar(0.01)).next }
        }),
      },
    })
    const data = Array.from({ length: batch.size * embed.size }, (_, i) => Math.sin(i * 1.7))
    const inputs = { x: tensorValue('float32', [batch.size, embed.size], data) }
    const engine = await must(onnxEngine())
    const [a, b] = [await must(engine.load(p, { threads: 3 })), await must(engine.load(p, { threads: 3 }))]
    for (let i = 0; i < 4; i++) {
      const both = [await must(a.call('step', inputs)), await must(b.call('step', inputs))]
      assert.equal(both[0], both[1])
    }
    const kept = await must(a.snapshot())
    assert.equal((await must(b.snapshot())).states, kept.states)
    const onward = [await must(a.call('step', inputs)), await must(a.call('step', inputs))]
    await must(b.call('step', inputs))
    await must(b.restore(kept))
    assert.equal([await must(b.call('step', inputs)), await must(b.call('step', inputs))], onward)
    assert.equal((await must(b.snapshot())).states, (await must(a.snapshot())).states)
    await must(a.close())
    await must(b.close())
  },
)

updates.run()
