/** Losses of reinforcement learning against reference values and gradients, on every engine, and against cases by hand. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { axis, evaluate, gradient, input, type Tensor } from '../../src/dsl/index.ts'
import type { Engine } from '../../src/engine/index.ts'
import type { PolicyLoss, PolicyTensors } from '../../src/rl/losses/index.ts'
import { clipped, dapo, divergence, drGrpo, grpo, gspo, gspoToken } from '../../src/rl/losses/index.ts'
import { lossOf, ratioOf } from '../../src/train/index.ts'
import { hostEngines } from '../support/engines.ts'
import { loadCase, maxRelativeError } from '../support/fixtures.ts'
import { onEngine } from '../support/on-engine.ts'

const engines = await hostEngines()
const c = loadCase('rl-losses')

type Feed = Readonly<Record<string, ArrayLike<number>>>

/** Tensors of `rows` completions of `places` tokens, and what they are fed with. */
const tensorsOf = (rows: number, places: number, fed: Feed): PolicyTensors => {
  const [batch, token] = [axis('batch', rows), axis('token', places)]
  const of = (name: string): Tensor => input(name, [batch, token])
  return {
    logProbs: of('logProbs'),
    oldLogProbs: of('oldLogProbs'),
    mask: of('mask'),
    advantages: input('advantages', [batch]),
    ...('samplingLogProbs' in fed ? { samplingLogProbs: of('samplingLogProbs') } : {}),
    ...('referenceLogProbs' in fed ? { referenceLogProbs: of('referenceLogProbs') } : {}),
  }
}

const fixture: Feed = {
  logProbs: c.floats('logp'),
  oldLogProbs: c.floats('old_logp'),
  mask: c.floats('mask'),
  advantages: c.floats('advantage_trl'),
}

/** A loss, its gradient by log-probability, and its metrics, in plain float64. */
const plainly = (loss: PolicyLoss, fed: Feed, rows: number, places: number) => {
  const x = tensorsOf(rows, places, fed)
  const terms = loss.terms(x)
  const [of] = gradient(lossOf(terms), [x.logProbs])
  const metrics = Object.entries(terms.stepMetrics ?? {})
  const all = [lossOf(terms), of!, terms.sum, terms.weight, ...metrics.map(([, m]) => ratioOf(m))]
  const [value, slope, sum, weight, ...numbers] = evaluate(all, { inputs: fed, states: {} })
  return {
    value: value![0]!,
    gradient: [...slope!],
    sum: sum![0]!,
    weight: weight![0]!,
    metrics: Object.fromEntries(metrics.map(([name], i) => [name, numbers[i]![0]!])),
  }
}

const cases: readonly (readonly [string, PolicyLoss])[] = [
  ['dapo', dapo()],
  ['grpo', grpo()],
  ['dr_grpo', drGrpo({ tokens: 9 })],
  ['dapo_dual_clip_3', dapo({ dual: 3 })],
  ['gspo', gspo()],
  ['gspo_token', gspoToken()],
  ['gspo_wide_clip', gspo({ low: 0.2, high: 0.28 })],
]

const reference = suite('losses: as the reference has them')

for (const [name, loss] of cases)
  reference(`${name}: value and gradient, in float64`, () => {
    const got = plainly(loss, fixture, 8, 9)
    assert.ok(maxRelativeError([got.value], c.floats(`loss_${name}`)) <= 1e-4, `${got.value}`)
    assert.ok(maxRelativeError(got.gradient, c.floats(`grad:${name}`)) <= 1e-4)
  })

for (const engine of engines)
  reference(`values, gradients and clip fractions on ${engine.name}`, async () => {
    const x = tensorsOf(8, 9, fixture)
    const roots = cases.flatMap(([, loss]) => {
      const terms = loss.terms(x)
      const all = lossOf(terms)
      return [all, ...gradient(all, [x.logProbs]), ...metricsOf(terms.stepMetrics)]
    })
    const got = await onEngine(engine as Engine, roots, fixture)
    cases.forEach(([name], i) => {
      const [value, slope, low, high] = got.slice(i * 5)
      assert.ok(maxRelativeError(value!, c.floats(`loss_${name}`)) <= 1e-4, name)
      assert.ok(maxRelativeError(slope!, c.floats(`grad:${name}`)) <= 1e-4, name)
      if (name !== 'dapo') return
      assert.ok(maxRelativeError(low!, c.floats('clip_fraction_low')) <= 1e-4)
      assert.ok(maxRelativeError(high!, c.floats('clip_fraction_high')) <= 1e-4)
    })
  })

/** `clipLow`, `clipHigh` and `kl`. */
const metricsOf = (all: ReturnType<PolicyLoss['terms']>['stepMetrics']) =>
  (['clipLow', 'clipHigh', 'kl'] as const).map((name) => ratioOf(all![name]!))

reference('DAPO by token', () => {
  const x = tensorsOf(8, 9, fixture)
  const ratio = Array.from(fixture.logProbs!, (p, i) => Math.exp(p - fixture.oldLogProbs![i]!))
  const { loss } = clipped(input('ratio', x.logProbs.axes), x.advantages, { low: 0.2, high: 0.28 })
  const [got] = evaluate([loss], { inputs: { ...fixture, ratio }, states: {} })
  const masked = got!.map((l, i) => l * fixture.mask![i]!)
  const want = c.floats('dapo_per_token').map((l, i) => l * fixture.mask![i]!)
  assert.ok(maxRelativeError(masked, want) <= 1e-4)
})

reference.run()

// --- by hand ------------------------------------------------------------------------------------------------

const byHand = suite('losses: by hand')

/** Settings such as 0.2 are float32 in the graph. */
const near = (got: number, want: number, what = ''): void =>
  assert.ok(Math.abs(got - want) <= 1e-6 * (1 + Math.abs(want)), `${what} ${got} for ${want}`)

/** Two completions, of 3 tokens and of 1: ratios 1.1, 1.5, 0.5 with advantage 2; 0.6 with advantage −1. */
const two: Feed = {
  logProbs: [Math.log(1.1), Math.log(1.5), Math.log(0.5), Math.log(0.6), -7, -7],
  oldLogProbs: [0, 0, 0, 0, 0, 0],
  mask: [1, 1, 1, 1, 0, 0],
  advantages: [2, -1],
}

byHand('DAPO: 1.1·2, 1.28·2 and 0.5·2 gained, 0.8·1 lost, over four tokens', () => {
  const got = plainly(dapo(), two, 2, 3)
  near(got.sum, -2.2 - 2.56 - 1 + 0.8)
  near(got.weight, 4)
  near(got.value, -4.96 / 4)
  // a ratio's gradient by its logarithm is itself; what is clipped has none
  for (const [i, want] of [-2.2 / 4, 0, -1 / 4, 0, 0, 0].entries()) near(got.gradient[i]!, want, `${i}`)
  near(got.metrics.clipHigh!, 1 / 4)
  near(got.metrics.clipLow!, 1 / 4)
  const log = [1.1, 1.5, 0.5, 0.6].map((r) => r - 1 - Math.log(r))
  near(got.metrics.kl!, log.reduce((a, b) => a + b, 0) / 4)
})

byHand('GRPO: the mean over completions of the mean over their tokens', () => {
  const got = plainly(grpo(), two, 2, 3)
  near(got.weight, 2)
  near(got.value, ((-2.2 - 2.4 - 1) / 3 + 0.8) / 2)
})

byHand('Dr. GRPO: the sum over a constant and completions', () => {
  near(plainly(drGrpo({ tokens: 10 }), two, 2, 3).value, (-2.2 - 2.4 - 1 + 0.8) / 10 / 2)
})

byHand('GSPO: the geometric mean of the ratios, clipped as a whole', () => {
  const s = (1.1 * 1.5 * 0.5) ** (1 / 3)
  const got = plainly(gspo({ low: 0.2, high: 0.28 }), two, 2, 3)
  near(got.value, (-2 * s + 0.8) / 2)
  for (const i of [0, 1, 2]) near(got.gradient[i]!, (-2 * s) / 3 / 2)
  const token = plainly(gspoToken({ low: 0.2, high: 0.28 }), two, 2, 3)
  near(token.value, got.value)
  token.gradient.forEach((g, i) => {
    near(g, got.gradient[i]!)
  })
})

byHand(
  'GSPO: a token that became far less or more likely counts whole in the mean; the mean is bounded',
  () => {
    const far: Feed = {
      logProbs: [-50, 0.5, 0, 55, -30, 0.5, 400, 0, 0],
      oldLogProbs: [0, 0, 0, 0, 0, 0, 0, 0, 0],
      mask: [1, 1, 0, 1, 1, 1, 1, 1, 1],
      advantages: [1, -1, -1],
    }
    const got = plainly(gspo({ low: 1, high: 1e9 }), far, 3, 3)
    // means −24.75, which is held at −20, 8.5, and 400 / 3, which is held at 20: what is held teaches nothing
    near(got.value, (-Math.exp(-20) + Math.exp(8.5) + Math.exp(20)) / 3)
    const each = Math.exp(8.5) / 3 / 3
    for (const [i, want] of [0, 0, 0, each, each, each, 0, 0, 0].entries())
      near(got.gradient[i]!, want, `${i}`)
    const token = plainly(gspoToken({ low: 1, high: 1e9 }), far, 3, 3)
    near(token.value, got.value)
  },
)

byHand('GSPO-token: each token with an advantage of its own pulls on itself alone', () => {
  const s = (1.1 * 1.5 * 0.5) ** (1 / 3)
  const own = [2, 1, -1]
  const x = { ...tensorsOf(1, 3, {}), advantages: input('own', [axis('batch', 1), axis('token', 3)]) }
  const fed = {
    ...{ logProbs: Array.from(two.logProbs!).slice(0, 3), oldLogProbs: [0, 0, 0], mask: [1, 1, 1] },
    ...{ own, advantages: [0] },
  }
  const at = (loss: PolicyLoss) => {
    const [value, slope] = evaluate(
      [lossOf(loss.terms(x)), ...gradient(lossOf(loss.terms(x)), [x.logProbs])],
      { inputs: fed, states: {} },
    )
    return { value: value![0]!, gradient: [...slope!] }
  }
  const [token, sequence] = [gspoToken, gspo].map((loss) => at(loss({ low: 0.2, high: 0.28 })))
  near(token!.value, (-s * 2) / 3)
  near(sequence!.value, token!.value)
  own.forEach((a, i) => {
    near(token!.gradient[i]!, (-s * a) / 3, `token ${i}`)
    near(sequence!.gradient[i]!, (-s * 2) / 9, `sequence ${i}`)
  })
})

byHand('the dual clip bounds what a negative advantage costs', () => {
  const far: Feed = { logProbs: [Math.log(8)], oldLogProbs: [0], mask: [1], advantages: [-1] }
  near(plainly(dapo(), far, 1, 1).value, 8)
  const got = plainly(dapo({ dual: 3 }), far, 1, 1)
  near(got.value, 3)
  near(got.gradient[0]!, 0)
})

byHand(
  'truncated importance sampling weighs each token by min(old / sampling, c), and does not learn from it',
  () => {
    // old / sampling: 0.5, 4, 1, 1
    const fed = { ...two, samplingLogProbs: [Math.log(2), -Math.log(4), 0, 0, 0, 0] }
    const got = plainly(dapo({ truncate: 2 }), fed, 2, 3)
    near(got.sum, -2.2 * 0.5 - 2.56 * 2 - 1 + 0.8)
    near(got.gradient[0]!, (-2.2 * 0.5) / 4)
    const ratios = [0.5, 4, 1, 1].map((r) => r - 1 - Math.log(r))
    near(got.metrics.mismatch!, ratios.reduce((a, b) => a + b, 0) / 4)
  },
)

byHand('the penalty on leaving a reference is β · k3, and importance weights do not touch it', () => {
  // reference / policy is 2 at the first token alone
  const reference = two.logProbs!
  const fed = {
    ...two,
    samplingLogProbs: [Math.log(2), 0, 0, 0, 0, 0],
    referenceLogProbs: [reference[0]! + Math.log(2), ...Array.from(reference).slice(1)],
  }
  const k3 = 2 - 1 - Math.log(2)
  const got = plainly(dapo({ referenceKl: 0.5, truncate: 2 }), fed, 2, 3)
  near(got.sum, -2.2 * 0.5 - 2.56 - 1 + 0.8 + 0.5 * k3)
  // by the policy's logarithm: 1 − reference / policy
  near(got.gradient[0]!, (-2.2 * 0.5 + 0.5 * (1 - 2)) / 4)
  near(got.metrics.referenceKl!, k3 / 4)
})

byHand('divergence is not negative and 0 where both agree', () => {
  const [a, b] = [input('a', [axis('token', 5)]), input('b', [axis('token', 5)])]
  const given = { a: [-1, -2, -3, -4, -90], b: [-1, -1, -5, -4.5, -1] }
  const [got] = evaluate([divergence(a, b)], { inputs: given, states: {} })
  assert.is(got![0], 0)
  assert.ok(got!.every((d) => d >= 0 && Number.isFinite(d)))
})

byHand('what the mask leaves out changes nothing, whatever it is', () => {
  for (const [name, loss] of cases) {
    const other = {
      ...two,
      logProbs: [...Array.from(two.logProbs!).slice(0, 4), 50, -60],
      oldLogProbs: [0, 0, 0, 0, -60, 50],
    }
    const [a, b] = [plainly(loss, two, 2, 3), plainly(loss, other, 2, 3)]
    assert.is(a.value, b.value, name)
    assert.equal(a.gradient, b.gradient, name)
    assert.equal(a.metrics, b.metrics, name)
  }
})

byHand('a completion without a token that counts weighs nothing', () => {
  const none = { ...two, mask: [1, 1, 1, 0, 0, 0] }
  const alone = {
    logProbs: two.logProbs!,
    oldLogProbs: two.oldLogProbs!,
    mask: [1, 1, 1],
    advantages: [2],
  }
  for (const [name, loss] of cases) {
    const one = Object.fromEntries(Object.entries(alone).map(([k, v]) => [k, Array.from(v).slice(0, 3)]))
    near(plainly(loss, none, 2, 3).value, plainly(loss, one, 1, 3).value, name)
  }
})

byHand('sums and weights of parts add up to those of the whole', () => {
  const half = (from: number): Feed =>
    Object.fromEntries(
      Object.entries(fixture).map(([k, v]) => {
        const each = k === 'advantages' ? 1 : 9
        return [k, Array.from(v).slice(from * each, (from + 4) * each)]
      }),
    )
  for (const [name, loss] of cases) {
    const [whole, a, b] = [
      plainly(loss, fixture, 8, 9),
      plainly(loss, half(0), 4, 9),
      plainly(loss, half(4), 4, 9),
    ]
    near(a.sum + b.sum, whole.sum, name)
    near(a.weight + b.weight, whole.weight, name)
  }
})

byHand('settings that cannot be are refused, by name', () => {
  assert.throws(() => dapo({ low: -1 }), /dapo, low: it is -1; give a finite number from 0/)
  assert.throws(() => grpo({ low: 1.5 }), /grpo, low: it is 1.5; give at most 1/)
  assert.throws(() => dapo({ dual: 1.1 }), /dapo, dual: it is 1.1; give more than 1 \+ high/)
  assert.throws(() => gspo({ truncate: 0 }), /gspo, truncate: it is 0/)
  assert.throws(() => drGrpo({ tokens: 0 }), /drGrpo, tokens: it is 0/)
  assert.throws(() => dapo({ tokens: 3 } as never), /dapo, tokens: there is no such setting/)
  assert.throws(
    () => plainly(dapo({ truncate: 2 }), two, 2, 3),
    /samplingLogProbs: it is missing, and the loss reads it/,
  )
})

byHand.run()
