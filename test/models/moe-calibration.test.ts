/** Calibration of routers: pure functions of what was probed. And a dense model as a mixture of experts. */
import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { evaluate } from '../../src/dsl/evaluate.ts'
import { axis, causal, elements, fill, input, parametersOf } from '../../src/dsl/index.ts'
import {
  calibratedRouter,
  isRouterKey,
  loadEntropy,
  probedLoad,
  qwen3,
  type RouterProbe,
  upcycled,
} from '../../src/models/index.ts'
import { random } from '../../src/random/index.ts'
import { maxRelativeError } from '../support/fixtures.ts'

const test = suite('calibration of routers')

/** Tokens around a mean, and a router that likes some experts too well: `lean` is what it adds to the first. */
const probeOf = (seed: number, lean: number, experts = 6, size = 5, tokens = 300): RouterProbe => {
  const { next } = random('calibration', seed)
  const mean = Array.from({ length: size }, () => 2 * next() - 1)
  const square = mean.reduce((n, x) => n + x * x, 0)
  const inputs = Float32Array.from({ length: tokens * size }, (_, i) => mean[i % size]! + next() - 0.5)
  const gate = Float32Array.from(
    { length: experts * size },
    (_, i) => 2 * next() - 1 + (i < size ? (lean * mean[i]!) / square : 0),
  )
  return { inputs, gate, experts, perToken: 2 }
}

test('entropy is 1 of an even load, 0 where one takes all, and of two of four a half', () => {
  assert.is(loadEntropy([0.25, 0.25, 0.25, 0.25]), 1)
  assert.is(loadEntropy([1, 0, 0]), 0)
  assert.ok(Math.abs(loadEntropy([0.5, 0.5, 0, 0]) - 0.5) < 1e-12)
  assert.is(loadEntropy([1]), 1)
})

test('a lopsided router is nearly even afterwards, on tokens that were not probed too', () => {
  for (const seed of [1, 2, 3]) {
    const p = probeOf(seed, 6)
    const { gate, before, after } = calibratedRouter(p)
    assert.equal([...before], [...probedLoad(p)])
    assert.ok(loadEntropy(before) < 0.9, `before ${loadEntropy(before)}`)
    assert.ok(loadEntropy(after) > 0.99, `after ${loadEntropy(after)}`)
    assert.equal([...after], [...probedLoad({ ...p, gate })])
    const half = { ...p, inputs: p.inputs.slice(0, p.inputs.length / 2) }
    const rest = { ...p, inputs: p.inputs.slice(p.inputs.length / 2), gate: calibratedRouter(half).gate }
    assert.ok(loadEntropy(probedLoad(rest)) > 0.97, `others ${loadEntropy(probedLoad(rest))}`)
  }
})

test('the entropy never falls, and what is moved lies along the mean input alone', () => {
  fc.assert(
    fc.property(fc.nat(10_000), fc.double({ min: -5, max: 5, noNaN: true }), (seed, lean) => {
      const p = probeOf(seed, lean, 4, 3, 40)
      const { gate, before, after } = calibratedRouter(p)
      // float32 rounding of the weight may move a token that was undecided
      assert.ok(loadEntropy(after) >= loadEntropy(before) - 0.02)
      const mean = [0, 1, 2].map((i) => p.inputs.reduce((n, x, j) => (j % 3 === i ? n + x / 40 : n), 0))
      for (let e = 0; e < 4; e++) {
        const moved = mean.map((_, i) => gate[e * 3 + i]! - p.gate[e * 3 + i]!)
        const [a, b] = [moved[0]! * mean[1]!, moved[1]! * mean[0]!]
        assert.ok(Math.abs(a - b) < 1e-4 * (1 + Math.abs(a)), `${moved} along ${mean}`)
      }
    }),
    { numRuns: 30 },
  )
})

test('a router whose inputs have no mean keeps its weight', () => {
  const p = {
    inputs: Float32Array.of(1, 0, -1, 0),
    gate: Float32Array.of(1, 0, 0, 1),
    experts: 2,
    perToken: 1,
  }
  assert.equal([...calibratedRouter(p).gate], [...p.gate])
})

test('an upcycled model computes what the dense one did', () => {
  const token = axis('token', 4)
  const ids = input('ids', [token], 'int32')
  const dense = {
    ...{ vocabSize: 7, hiddenSize: 6, intermediateSize: 5, layers: 2, heads: 2, kvHeads: 1, headDim: 4 },
    ...{ ropeTheta: 1e4, epsilon: 1e-6, tied: true },
  }
  const moe = { experts: 3, perToken: 2, intermediateSize: 5, normalise: true, denseLayers: [0] }
  const at = { token, positions: ids, mask: causal(token) }
  const [before, after] = [qwen3(dense, at), qwen3({ ...dense, moe }, at)].map((l) => l.apply(ids))
  const filled = (key: string, size: number): Float32Array =>
    fill({ kind: 'uniform', limit: 0.7 }, size, 5, key)
  const weights = new Map([...parametersOf(before!)].map(([key, t]) => [key, filled(key, elements(t.axes))]))
  const more = upcycled(moe, weights)
  const keys = [...parametersOf(after!)]
  const states = new Map(keys.map(([key, t]) => [key, more.get(key) ?? filled(key, elements(t.axes))]))
  assert.equal(
    keys.flatMap(([key]) => (more.has(key) ? [] : [key])),
    ['model.layers.1.mlp.gate.weight'],
  )
  assert.ok(
    isRouterKey('model.layers.1.mlp.gate.weight') && !isRouterKey('model.layers.1.mlp.gate_proj.weight'),
  )
  const inputs = { ids: [0, 3, 6, 2] }
  const [want] = evaluate([before!], { inputs, states: weights })
  const [got] = evaluate([after!], { inputs, states })
  assert.ok(maxRelativeError(got!, want!) < 1e-12)
})

test.run()
