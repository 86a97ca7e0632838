/** Mixtures of experts: the two computations agree, wherever tokens go; which layers have experts; balance by parts. */
import * as fc from 'fast-check'
import { isLeft } from 'fp-ts/lib/Either.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { evaluate } from '../../src/dsl/evaluate.ts'
import {
  add,
  axis,
  causal,
  constant,
  elements,
  fill,
  fixed,
  gradient,
  input,
  mul,
  parametersOf,
  program,
  type Tensor,
  total,
  zeros,
} from '../../src/dsl/index.ts'
import type { TensorValue } from '../../src/engine/session.ts'
import {
  balanceLoss,
  computationOf,
  isSparse,
  type MoeConfig,
  mixtureOfExperts,
  qwen3,
  routerSums,
  routersOf,
  routerZLoss,
  routing,
} from '../../src/models/index.ts'
import { random } from '../../src/random/index.ts'
import { presentEngines } from '../support/engines.ts'
import { maxRelativeError } from '../support/fixtures.ts'

const engines = await presentEngines()
const test = suite(`mixture of experts on ${engines.map((e) => e.name).join(' and ')}`)

const embed = axis('embed', 6)

/** A block's result and the gradients of Σ y² with respect to its input and all its weights. */
const outputs = (c: MoeConfig, tokens: number): Readonly<Record<string, Tensor>> => {
  const x = input('x', [axis('batch', 2), axis('token', tokens), embed])
  const y = mixtureOfExperts(c, embed).apply(x, 'mlp')
  const weights = [...parametersOf(y)]
  const flows = gradient(total(mul(y, y)), [x, ...weights.map(([, w]) => w)])
  return {
    y,
    ...Object.fromEntries(flows.map((g, i) => [`grad:${i === 0 ? 'x' : weights[i - 1]![0]}`, g])),
  }
}

const statesOf = (roots: readonly Tensor[], seed: number): ReadonlyMap<string, TensorValue> =>
  new Map(
    [...parametersOf(...roots)].map(([key, t]) => [
      key,
      {
        shape: t.axes.map((a) => a.size),
        dtype: 'float32' as const,
        data: fill(t.op.op === 'state' ? t.op.init : zeros, elements(t.axes), seed, key),
      },
    ]),
  )

const xOf = (tokens: number, seed: number): TensorValue => {
  const { next } = random('moe', seed)
  const data = Float32Array.from({ length: 2 * tokens * embed.size }, () => 2 * next() - 1)
  return { shape: [2, tokens, embed.size], dtype: 'float32', data }
}

const mixtures = fc.integer({ min: 1, max: 9 }).chain((experts) =>
  fc.record({
    experts: fc.constant(experts),
    perToken: fc.integer({ min: 1, max: experts }),
    intermediateSize: fc.integer({ min: 1, max: 5 }),
    normalise: fc.boolean(),
  }),
)

test('all experts and chosen experts give the same numbers and gradients', () => {
  fc.assert(
    fc.property(mixtures, fc.integer({ min: 1, max: 6 }), fc.nat(1000), (c, tokens, seed) => {
      const [all, chosen] = (['all', 'chosen'] as const).map((computation) =>
        outputs({ ...c, computation }, tokens),
      )
      assert.equal(Object.keys(all!).sort(), Object.keys(chosen!).sort())
      const states = statesOf(Object.values(all!), seed)
      const feeds = {
        inputs: { x: xOf(tokens, seed).data },
        states: new Map([...states].map(([key, v]) => [key, v.data])),
      }
      const names = Object.keys(all!)
      const [a, b] = [all!, chosen!].map((o) =>
        evaluate(
          names.map((n) => o[n]!),
          feeds,
        ),
      )
      names.forEach((n, i) => {
        assert.ok(maxRelativeError(a![i]!, b![i]!) < 1e-9, n)
      })
    }),
    { numRuns: 40 },
  )
})

test('and so they do on every engine, also where some experts have no token', async () => {
  for (const c of [
    { experts: 16, perToken: 2, intermediateSize: 5, normalise: true },
    { experts: 16, perToken: 1, intermediateSize: 3, normalise: false },
    { experts: 3, perToken: 3, intermediateSize: 2, normalise: true },
    { experts: 1, perToken: 1, intermediateSize: 2, normalise: true },
  ]) {
    const [all, chosen] = (['all', 'chosen'] as const).map((computation) => outputs({ ...c, computation }, 3))
    const states = statesOf(Object.values(all!), 7)
    const feeds = {
      inputs: { x: xOf(3, 7).data },
      states: new Map([...states].map(([key, v]) => [key, v.data])),
    }
    const names = Object.keys(all!)
    const want = evaluate(
      names.map((n) => all![n]!),
      feeds,
    )
    for (const engine of engines)
      for (const built of [all!, chosen!]) {
        const opened = await engine.load(
          program({ name: 'moe', functions: { f: fixed(() => ({ outputs: built })) } }),
        )()
        if (isLeft(opened)) throw new Error(opened.left.message)
        const session = opened.right
        try {
          const wrote = await session.write(states)()
          if (isLeft(wrote)) throw new Error(wrote.left.message)
          const got = await session.call('f', { x: xOf(3, 7) })()
          if (isLeft(got)) throw new Error(got.left.message)
          names.forEach((n, i) => {
            const off = maxRelativeError(got.right[n]!.data as Float32Array, want[i]!)
            assert.ok(off < 1e-4, `${engine.name}, ${c.experts} experts: ${n} is off by ${off}`)
          })
        } finally {
          await session.close()()
        }
      }
  }
})

test('the computation that costs less is the default', () => {
  const c = { experts: 8, perToken: 2, intermediateSize: 4, normalise: true }
  assert.is(computationOf(c), 'chosen')
  assert.is(computationOf({ ...c, perToken: 4 }), 'all')
  assert.is(computationOf({ ...c, computation: 'all' }), 'all')
})

test('equal probabilities: a token goes through the first of the experts, each once', () => {
  const c = { experts: 4, perToken: 3, intermediateSize: 1, normalise: true }
  const r = routing(c, constant(new Float32Array(4), [axis('expert', 4)]))
  const [index, weights] = evaluate([r.index, r.weights])
  assert.equal([...index!], [0, 1, 2])
  assert.ok([...weights!].every((w) => Math.abs(w - 1 / 3) < 1e-12))
})

test('every other layer has experts, or all but some; keys are the published ones', () => {
  const moe = { experts: 2, perToken: 1, intermediateSize: 3, normalise: true }
  const sparse = (c: MoeConfig): readonly number[] => [0, 1, 2, 3].filter((i) => isSparse(c, i))
  assert.equal(sparse(moe), [0, 1, 2, 3])
  assert.equal(sparse({ ...moe, sparseStep: 2 }), [1, 3])
  assert.equal(sparse({ ...moe, sparseStep: 2, denseLayers: [3] }), [1])
  assert.not.ok(isSparse(undefined, 0))

  const token = axis('token', 3)
  const ids = input('ids', [token], 'int32')
  const config = {
    ...{ vocabSize: 5, hiddenSize: 4, intermediateSize: 6, layers: 3, heads: 1, kvHeads: 1, headDim: 4 },
    ...{ ropeTheta: 1e4, epsilon: 1e-6, tied: true, moe: { ...moe, denseLayers: [1] } },
  }
  const logits = qwen3(config, { token, positions: ids, mask: causal(token) }).apply(ids)
  assert.equal(
    routersOf(logits).map((r) => r.path),
    ['model.layers.0.mlp', 'model.layers.2.mlp'],
  )
  const keys = [...parametersOf(logits).keys()].filter((key) => key.includes('.mlp.'))
  assert.equal(
    keys.filter((key) => key.includes('.1.mlp.')).sort(),
    ['down_proj', 'gate_proj', 'up_proj'].map((m) => `model.layers.1.mlp.${m}.weight`),
  )
  assert.equal(
    keys.filter((key) => key.includes('.2.mlp.')).sort(),
    [...['down_proj', 'gate_proj', 'up_proj'].flatMap((m) => [0, 1].map((i) => `experts.${i}.${m}`)), 'gate']
      .map((name) => `model.layers.2.mlp.${name}.weight`)
      .sort(),
  )
})

/** Two layers of router logits over `[batch, token]`, and which tokens count. */
const batchOf = (c: MoeConfig, rows: number, tokens: number, from: (i: number) => number) => {
  const [batch, token, expert] = [axis('batch', rows), axis('token', tokens), axis('expert', c.experts)]
  const routers = [0, 1].map((layer) => ({
    path: `layers.${layer}.mlp`,
    logits: constant(
      Float32Array.from({ length: rows * tokens * c.experts }, (_, i) => from(i + 1000 * layer)),
      [batch, token, expert],
    ),
  }))
  return { routers, batch, token }
}

test('the balance and the z-loss of the parts of a batch add up to those of the batch', () => {
  const c = { experts: 5, perToken: 2, intermediateSize: 1, normalise: true }
  const at = (i: number): number => 2 * Math.sin(i * 1.7)
  const counted = [1, 1, 0, 1, 0, 0, 1, 1, 1]
  const mask = (rows: readonly number[], size: number): Tensor =>
    constant(Uint8Array.from(rows), [axis('batch', rows.length / size), axis('token', size)])
  const whole = batchOf(c, 3, 3, at)
  const sums = routerSums(c, whole.routers, mask(counted, 3))
  // the same tokens, a row each
  const parts = [0, 1, 2].map((row) => {
    const part = batchOf(c, 1, 3, (i) => at((i % 1000) + 15 * row + 1000 * Math.floor(i / 1000)))
    return routerSums(c, part.routers, mask(counted.slice(3 * row, 3 * row + 3), 3))
  })
  const together = (f: (p: (typeof parts)[number]) => Tensor): Tensor =>
    parts.map(f).reduce((a, b) => add(a, b))
  const [balance, z, byParts, zByParts, own] = evaluate([
    balanceLoss(c, sums),
    routerZLoss(sums),
    together((p) => balanceLoss(c, p, sums)),
    together((p) => routerZLoss(p, sums)),
    together((p) => balanceLoss(c, p)),
  ]).map((v) => v[0]!) as [number, number, number, number, number]
  assert.ok(Math.abs(balance - byParts) < 1e-9, `${balance} and ${byParts}`)
  assert.ok(Math.abs(z - zByParts) < 1e-9)
  // which the mean of the parts' own balances is not
  assert.ok(Math.abs(balance - own / 3) > 1e-2)
})

test('the balance is perToken where all are used alike, and experts where one takes all', () => {
  const c = { experts: 4, perToken: 1, intermediateSize: 1, normalise: true }
  const alike = batchOf(c, 1, 4, (i) => (i % 4 === Math.floor((i % 1000) / 4) ? 30 : 0))
  const one = batchOf(c, 1, 4, (i) => (i % 4 === 0 ? 30 : 0))
  const [even, uneven] = evaluate([alike, one].map((b) => balanceLoss(c, routerSums(c, b.routers))))
  assert.ok(Math.abs(even![0]! - 1) < 1e-6)
  assert.ok(Math.abs(uneven![0]! - 4) < 1e-6)
  // no token counts
  const none = constant(new Uint8Array(4), [axis('batch', 1), axis('token', 4)])
  const nothing = routerSums(c, one.routers, none)
  assert.equal(
    evaluate([balanceLoss(c, nothing), routerZLoss(nothing)]).map((v) => v[0]),
    [0, 0],
  )
})

test('the z-loss is the mean square of the logarithm, for any size of logits', () => {
  const c = { experts: 2, perToken: 1, intermediateSize: 1, normalise: true }
  const b = batchOf(c, 1, 1, () => 500)
  const [z] = evaluate([routerZLoss(routerSums(c, b.routers))])
  assert.ok(Math.abs(z![0]! - (500 + Math.log(2)) ** 2) < 1e-6)
})

test.run()
