/** Whole updates at unusual settings against plain arithmetic, in float64 and on the engines. */
import * as E from 'fp-ts/lib/Either.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { evaluate } from '../../src/dsl/evaluate.ts'
import {
  add,
  axis,
  contract,
  fixed,
  gradient,
  input,
  mul,
  normal,
  parameter,
  program,
  square,
  sub,
  type Tensor,
  total,
} from '../../src/dsl/index.ts'
import type { Engine } from '../../src/engine/session.ts'
import { scalarValue, tensorValue } from '../../src/engine/values.ts'
import {
  adamW,
  adamWith,
  clipByGlobalNorm,
  firstMomentKey,
  type ScheduleSpec,
  StepKey,
  schedule,
  secondMomentKey,
} from '../../src/optim/index.ts'
import { presentEngines } from '../support/engines.ts'
import { maxRelativeError } from '../support/fixtures.ts'
import { type PlainState, plainNorm, plainStart, plainStep } from '../support/plain-adamw.ts'

const engines = await presentEngines()

// --- the problem ------------------------------------------------------------------------------------------------

const [Out, In, Row] = [axis('out', 3), axis('in', 4), axis('row', 5)]
const w = parameter('body.weight', [Out, In], normal(1))
const b = parameter('body.bias', [Out], normal(1))
const h = parameter('head.weight', [Out, In], normal(1))
const g = parameter('norm.weight', [In], normal(1))
const parameters = new Map<string, Tensor>([
  ['body.weight', w],
  ['body.bias', b],
  ['head.weight', h],
  ['norm.weight', g],
])
const sizes = new Map([
  ['body.weight', [3, 4]],
  ['body.bias', [3]],
  ['head.weight', [3, 4]],
  ['norm.weight', [4]],
])
const x = input('x', [Row, In])
const y = input('y', [Row, Out])
/** Σ (W x + b + H (x ⊙ g) − y)². */
const loss = total(
  square(sub(add(add(contract(x, w, 'in'), b), contract(mul(x, g) as Tensor<['row', 'in']>, h, 'in')), y)),
)

/** The gradients by hand: with r = W x + b + H (x ⊙ g) − y they are 2 r xᵀ, 2 r, 2 r (x ⊙ g)ᵀ and 2 (Hᵀ r) ⊙ x. */
const byHand = (s: PlainState, xs: ArrayLike<number>, ys: ArrayLike<number>) => {
  const [W, B, H, G] = ['body.weight', 'body.bias', 'head.weight', 'norm.weight'].map((k) => s.get(k)!.p) as [
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
  ]
  const out = new Map([...s].map(([k, { p }]) => [k, new Float64Array(p.length)]))
  let sum = 0
  for (let n = 0; n < 5; n++)
    for (let o = 0; o < 3; o++) {
      let r = B[o]! - ys[n * 3 + o]!
      for (let i = 0; i < 4; i++) r += (W[o * 4 + i]! + H[o * 4 + i]! * G[i]!) * xs[n * 4 + i]!
      sum += r * r
      out.get('body.bias')![o]! += 2 * r
      for (let i = 0; i < 4; i++) {
        const xi = xs[n * 4 + i]!
        out.get('body.weight')![o * 4 + i]! += 2 * r * xi
        out.get('head.weight')![o * 4 + i]! += 2 * r * xi * G[i]!
        out.get('norm.weight')![i]! += 2 * r * H[o * 4 + i]! * xi
      }
    }
  return { loss: sum, gradients: out }
}

// --- the settings -----------------------------------------------------------------------------------------------

const course: ScheduleSpec = { kind: 'wsd', warmup: 2, decay: 4, minRatio: 0.25, shape: 'linear' }
/** Its factors by hand: from a quarter up in two steps, the peak for two, down to a quarter in four. */
const factors = [0.25, 0.625, 1, 1, 1, 0.8125, 0.625, 0.4375]
const peak = 0.07
const common = { beta1: 0.7, beta2: 0.83, epsilon: 3e-2 }
const optimizer = adamWith({
  ...common,
  weightDecay: 0.9,
  groups: [
    { match: 'head.**', learningRateMultiplier: 3, weightDecay: 0.4 },
    { match: ['norm.*', 'head.bias'], learningRateMultiplier: 0.2, weightDecay: 1.5 },
  ],
})
/** What those groups come to. */
const decays: Readonly<Record<string, number>> = {
  'body.weight': 0.9,
  'body.bias': 0,
  'head.weight': 0.4,
  'norm.weight': 1.5,
}
const multipliers: Readonly<Record<string, number>> = {
  'body.weight': 1,
  'body.bias': 1,
  'head.weight': 3,
  'norm.weight': 0.2,
}
/** Numbers of each update, and starting values. */
const feeds = (t: number) => ({
  x: Float32Array.from({ length: 20 }, (_, i) => Math.sin(3 * t + i)),
  y: Float32Array.from({ length: 15 }, (_, i) => 4 * Math.cos(t + 2 * i)),
})
const starts = new Map(
  [...sizes].map(([key, [a = 1, c = 1]], k) => [
    key,
    Float32Array.from({ length: a * c }, (_, i) => Math.cos(5 * k + i)),
  ]),
)

const results = (clip: number | undefined) => {
  const all = gradient(loss, [...parameters.values()])
  const { gradients, norm } = clipByGlobalNorm(all, clip)
  const byKey = new Map([...parameters.keys()].map((key, i) => [key, gradients[i]!]))
  const { next } = optimizer.update(parameters, byKey, input('rate', []))
  return { outputs: { loss: loss as Tensor, norm: norm as Tensor }, next }
}

/** All eight updates by plain arithmetic: the loss and the norm that each began with, and the state after it. */
const expected = (clip: number | undefined) => {
  let state = plainStart(starts)
  return factors.map((factor, n) => {
    const at = feeds(n)
    const { loss: l, gradients } = byHand(state, at.x, at.y)
    state = plainStep(n + 1, state, gradients, {
      ...common,
      rate: peak * factor,
      clip,
      decay: (k) => decays[k]!,
      factor: (k) => multipliers[k]!,
    })
    return { loss: l, norm: plainNorm(gradients), state }
  })
}

const steps = suite(`optim: updates at unusual settings, in float64 and on ${engines.map((e) => e.name)}`)
const near = (what: string, got: ArrayLike<number>, want: ArrayLike<number>, to: number): void => {
  const error = maxRelativeError(got, want)
  assert.ok(error <= to, `${what}: relative error ${error}`)
}

steps('the schedule’s factors are those by hand', () => {
  const s = schedule(course, 8)
  if (E.isLeft(s)) throw s.left
  near(
    'factors',
    factors.map((_, n) => s.right(n)),
    factors,
    1e-12,
  )
  assert.is(s.right(8), 0.25)
})

steps('one of the limits clips some updates and not others', () => {
  const over = expected(55).filter((u) => u.norm > 55).length
  assert.ok(over > 1 && over < 7, `${over} of 8 are clipped`)
})

for (const clip of [undefined, 55, 2.5]) {
  const want = expected(clip)

  steps(`clipped at ${clip}, in float64`, () => {
    const { outputs, next } = results(clip)
    let states = new Map<string, ArrayLike<number>>([[StepKey, [0]]])
    for (const [key, p] of starts) {
      states.set(key, p)
      for (const k of [firstMomentKey(key), secondMomentKey(key)]) states.set(k, new Float64Array(p.length))
    }
    want.forEach((u, n) => {
      const [l, norm, ...values] = evaluate([outputs.loss, outputs.norm, ...next.values()], {
        inputs: { ...feeds(n), rate: [peak * factors[n]!] },
        states,
      })
      states = new Map([...next.keys()].map((k, i) => [k, values[i]!]))
      near(`loss ${n}`, l!, [u.loss], 1e-6)
      near(`norm ${n}`, norm!, [u.norm], 1e-6)
      for (const [key, { p, m, v }] of u.state) {
        near(`${key} after update ${n}`, states.get(key)!, p, 1e-6)
        near(`mean of ${key}`, states.get(firstMomentKey(key))!, m, 1e-6)
        near(`square of ${key}`, states.get(secondMomentKey(key))!, v, 1e-6)
      }
    })
  })

  const onEngine = async (engine: Engine): Promise<void> => {
    const p = program({ name: 'unusual', functions: { step: fixed(() => results(clip)) } })
    const opened = await engine.load(p)()
    if (E.isLeft(opened)) throw new Error(opened.left.message)
    const s = opened.right
    const begun = new Map([...starts].map(([k, v]) => [k, tensorValue('float32', sizes.get(k)!, v)]))
    assert.ok(E.isRight(await s.write(begun)()))
    for (const [n, u] of want.entries()) {
      const at = feeds(n)
      const out = await s.call('step', {
        x: tensorValue('float32', [5, 4], at.x),
        y: tensorValue('float32', [5, 3], at.y),
        rate: scalarValue(peak * factors[n]!),
      })()
      if (E.isLeft(out)) throw new Error(out.left.message)
      near(`norm ${n}`, out.right.norm!.data, [u.norm], 1e-5)
      const now = await s.read()()
      if (E.isLeft(now)) throw new Error(now.left.message)
      for (const [key, { p: values }] of u.state)
        near(`${key} after update ${n}`, now.right.get(key)!.data, values, 2e-5)
    }
    await s.close()()
  }
  for (const engine of engines) steps(`clipped at ${clip}, on ${engine.name}`, () => onEngine(engine))
}

steps('what is not said is β₁ 0.9, β₂ 0.95, ε 1e-8 and a decay of 0.1 for matrices', () => {
  const rate = input('rate', [])
  const all = gradient(loss, [...parameters.values()])
  const byKey = new Map([...parameters.keys()].map((key, i) => [key, all[i]!]))
  const states = new Map<string, ArrayLike<number>>([[StepKey, [0]], ...starts])
  for (const [key, p] of starts) {
    states.set(firstMomentKey(key), new Float64Array(p.length))
    states.set(secondMomentKey(key), new Float64Array(p.length))
  }
  const { gradients } = byHand(plainStart(starts), feeds(0).x, feeds(0).y)
  const want = plainStep(1, plainStart(starts), gradients, {
    rate: 0.05,
    beta1: 0.9,
    beta2: 0.95,
    epsilon: 1e-8,
    decay: (key) => (['body.weight', 'head.weight'].includes(key) ? 0.1 : 0),
    factor: () => 1,
  })
  for (const next of [adamW(parameters, all, rate).next, adamWith().update(parameters, byKey, rate).next]) {
    const got = evaluate([...next.values()], { inputs: { ...feeds(0), rate: [0.05] }, states })
    const byName = new Map([...next.keys()].map((k, i) => [k, got[i]!]))
    for (const [key, { p, m, v }] of want) {
      near(key, byName.get(key)!, p, 1e-6)
      near(`mean of ${key}`, byName.get(firstMomentKey(key))!, m, 1e-6)
      near(`square of ${key}`, byName.get(secondMomentKey(key))!, v, 1e-6)
    }
  }
})

steps.run()
