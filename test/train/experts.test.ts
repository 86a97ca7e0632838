/** Training with experts: the balance is that of the whole update, and how much each expert is used is told. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipe } from 'fp-ts/lib/function.js'
import { firstValueFrom, toArray } from 'rxjs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Conversation, conversation } from '../../src/data/conversation.ts'
import { evaluate } from '../../src/dsl/evaluate.ts'
import { elements, fill, parametersOf, type Tensor } from '../../src/dsl/index.ts'
import type { Engine } from '../../src/engine/session.ts'
import { type MoeConfig, sailVl2Model } from '../../src/models/index.ts'
import { adamWith } from '../../src/optim/index.ts'
import { withoutRepeats } from '../../src/run/run-state.ts'
import { unmeasured } from '../../src/train/evaluation.ts'
import { expertLoads, withExperts } from '../../src/train/expert-terms.ts'
import { learnerProgram } from '../../src/train/learner.ts'
import { nextToken } from '../../src/train/next-token.ts'
import type { LossTerms, MicroBatch, Objective } from '../../src/train/objective.ts'
import { packedNextToken } from '../../src/train/packed-next-token.ts'
import { begin, next } from '../../src/train/recipe.ts'
import { experiment } from '../../src/train/recipe-experiment.ts'
import { fromScratch } from '../../src/train/recipe-start.ts'
import { supervised } from '../../src/train/supervised.ts'
import { presentEngines } from '../support/engines.ts'
import { maxRelativeError } from '../support/fixtures.ts'
import { contextIn, tiny, tinyConversation, tinyProcessor, watched } from '../support/tiny.ts'

const engines = await presentEngines()
const test = suite(`train: experts on ${engines.map((e) => e.name).join(' and ')}`)
const root = mkdtempSync(join(tmpdir(), 'sailwright-experts-'))
test.after(() => rmSync(root, { recursive: true, force: true }))

const moe: MoeConfig = {
  ...{ experts: 4, perToken: 2, intermediateSize: 6, normalise: true },
  ...{ balance: 0.5, zLoss: 0.3 },
}
const modelOf = (more: Partial<MoeConfig> = {}) =>
  sailVl2Model('tiny experts', {
    ...tiny,
    language: { ...tiny.language, layers: 2, moe: { ...moe, ...more } },
  })
const model = modelOf()

/** With an image or without, and from 2 to 12 learnt tokens: micro-batches count differently. */
const uneven = (i: number): Conversation =>
  conversation(tinyProcessor, {
    ...{ id: `uneven/${i}`, request: 'what', answer: 'abcdefghijk'.slice(0, 1 + ((i * 5) % 11)) },
    images: i % 3 === 1 ? [] : tinyConversation(i).images,
  })

const steps = 3
const ran = async (engine: Engine, rows: number, accumulate: number) => {
  const stage = supervised({
    ...{ name: 'tune', from: 'fresh', to: 'tuned', train: Object.values(model.parts), steps, accumulate },
    ...{ learningRate: 1e-2, optimizer: adamWith({ epsilon: 1e-3 }) },
    objective: nextToken(model, tinyProcessor, { rows, tokens: 44 }),
    source: watched(uneven),
  })
  const recipe = pipe(
    begin({ name: 'experts', seed: 2, model, start: fromScratch, now: 'fresh' }),
    next(stage),
  )
  const at = join(root, `${engine.name}-${rows}`)
  return firstValueFrom(experiment(recipe, unmeasured).run(contextIn(at, engine)).pipe(toArray()))
}

for (const engine of engines)
  test(`${engine.name}: three micro-batches have the balance of one of three times as many rows`, async () => {
    const [one, three] = [await ran(engine, 6, 1), await ran(engine, 2, 3)]
    const of = (events: typeof one) => ({
      steps: events.flatMap((e) => (e.type === 'step' ? [e] : [])),
      loads: events.flatMap((e) => (e.type === 'expert-load' ? [e] : [])),
    })
    const [want, got] = [of(one), of(three)]
    assert.is(want.steps.length, steps)
    want.steps.forEach((w, i) => {
      const g = got.steps[i]!
      for (const [what, a, b] of [
        ['loss', g.loss, w.loss],
        ['gradient norm', g.gradientNorm, w.gradientNorm],
      ] as const)
        assert.ok(Math.abs(a / b - 1) < 1e-5, `${what} ${i + 1}: ${a} in place of ${b}`)
    })
    // how much each expert is used is told, and is the same
    assert.equal(
      want.loads.map((e) => e.step),
      [1, 2, 3],
    )
    want.loads.forEach((w, i) => {
      assert.equal(w.layers, [0, 1])
      assert.equal([w.load.length, w.load[0]!.length], [2, 4])
      w.load.forEach((row, l) => {
        assert.ok(Math.abs(row.reduce((a, b) => a + b) - 1) < 1e-9)
        assert.ok(maxRelativeError(got.loads[i]!.load[l]!, row) < 1e-6)
      })
    })
    // a step that comes again takes its record with it
    const again = withoutRepeats([
      ...one.filter((e) => 'step' in e),
      ...one.filter((e) => 'step' in e && e.step > 1),
    ])
    assert.equal(
      again.flatMap((e) => (e.type === 'expert-load' ? [e.step] : [])),
      [1, 2, 3],
    )
  })

const statesFor = (roots: readonly Tensor[]): ReadonlyMap<string, Float32Array> =>
  new Map(
    [...parametersOf(...roots)].map(([key, t]) => [
      key,
      fill({ kind: 'uniform', limit: 0.6 }, elements(t.axes), 3, key),
    ]),
  )

/** The auxiliary losses and the sums of micro-batches, each by its objective. */
const evaluated = (o: Objective<never>, b: MicroBatch): Readonly<Record<string, Float64Array>> => {
  const terms: LossTerms = o.terms(b.sizes)
  const all: readonly (readonly [string, Tensor])[] = [
    ...Object.entries(terms.batch!.losses),
    ...Object.entries(terms.batch!.sums),
  ]
  const roots = all.map(([, t]) => t)
  const inputs = Object.fromEntries(Object.entries(b.inputs).map(([name, v]) => [name, v.data]))
  const values = evaluate(roots, { inputs, states: statesFor(roots) })
  return Object.fromEntries(all.map(([name], i) => [name, values[i]!]))
}

test('padding does not count, and packed rows have the balance of rows apart', () => {
  const samples = [0, 1, 2, 3].map(uneven)
  const sizes = { rows: 3, tokens: 80, images: 4 }
  const apart = nextToken(model, tinyProcessor, { rows: 4, tokens: 44 })
  const packs = packedNextToken(model, tinyProcessor, sizes)
  // two rows of two samples each, and one of padding
  const pack = { rows: [samples.slice(0, 2), samples.slice(2), []] }
  const a = evaluated(apart, apart.collate(samples)[0]!)
  const b = evaluated(packs, packs.collate([pack])[0]!)
  assert.equal(Object.keys(a), ['balance', 'routerZ', 'expertLoad', 'expertTokens'])
  assert.is(
    a.expertTokens![0],
    samples.reduce((n, c) => n + c.ids.length, 0),
  )
  for (const [name, want] of Object.entries(a))
    assert.ok(maxRelativeError(b[name]!, want) < 1e-9, `${name}: ${b[name]} in place of ${want}`)
  // each is scaled by a coefficient of its own
  const more = nextToken(modelOf({ balance: 1, zLoss: 0.9 }), tinyProcessor, { rows: 4, tokens: 44 })
  const c = evaluated(more, more.collate(samples)[0]!)
  assert.ok(Math.abs(c.balance![0]! / a.balance![0]! - 2) < 1e-6, `${c.balance} and ${a.balance}`)
  assert.ok(Math.abs(c.routerZ![0]! / a.routerZ![0]! - 3) < 1e-6, `${c.routerZ} and ${a.routerZ}`)
})

test('what is scaled by 0 is not built; without auxiliary losses the load costs no pass of its own', () => {
  const functions = (more: Partial<MoeConfig>, accumulate: number): readonly string[] => [
    ...learnerProgram({
      ...{ name: 's', optimizer: adamWith(), maxGradientNorm: 1, accumulate },
      objective: nextToken(modelOf(more), tinyProcessor, { rows: 2, tokens: 44 }),
      train: Object.values(model.parts),
    }).program.functions.keys(),
  ]
  assert.equal(functions({}, 1), ['step'])
  assert.equal(functions({}, 2), ['observe', 'accumulate', 'apply'])
  assert.equal(functions({ balance: 0, zLoss: 0 }, 2), ['accumulate', 'apply'])
  const terms = nextToken(modelOf({ balance: 0, zLoss: 0 }), tinyProcessor, { rows: 2, tokens: 44 }).terms({})
  assert.equal(terms.batch!.losses, {})
  assert.equal(Object.keys(terms.batch!.sums), ['expertLoad', 'expertTokens'])
  const dense = sailVl2Model('tiny', tiny)
  const plain = { sum: terms.sum, weight: terms.weight }
  assert.is(withExperts(dense, terms.sum, terms.weight, plain), plain)
})

test('a long stage makes few records, each of the updates since the last', () => {
  const loads = expertLoads('long', 1000)
  const at: number[] = []
  for (let step = 1; step <= 1000; step++) {
    const data = Float32Array.of(step % 2, 1 - (step % 2), 0, 0)
    const e = loads.add(step, { expertLoad: { shape: [2, 2], dtype: 'float32', data } })
    if (e === undefined) continue
    at.push(step)
    if (step === 20)
      assert.equal(e.load, [
        [9 / 19, 10 / 19],
        [0, 0],
      ])
  }
  assert.is(at.length, 51)
  assert.equal(at.slice(0, 3), [1, 20, 40])
  assert.is(at.at(-1), 1000)
  // the last has one, whatever it divides by
  const odd = expertLoads('odd', 101)
  const one = { expertLoad: { shape: [1, 1], dtype: 'float32' as const, data: Float32Array.of(1) } }
  const told = Array.from({ length: 101 }, (_, i) => i + 1).filter((step) => odd.add(step, one) !== undefined)
  assert.equal([...told.slice(0, 3), ...told.slice(-2)], [1, 3, 6, 99, 101])
  assert.is(expertLoads('dense', 9).add(1, {}), undefined)
})

test('a record names the layers that have experts', () => {
  const moe = { experts: 2, perToken: 1, intermediateSize: 8, normalise: true }
  const data = Float32Array.of(1, 0, 1, 0)
  const layersOf = (c: MoeConfig) =>
    expertLoads('x', 1, c).add(1, { expertLoad: { shape: [2, 2], dtype: 'float32', data } })?.layers
  assert.equal(layersOf(moe), [0, 1])
  assert.equal(layersOf({ ...moe, sparseStep: 2 }), [1, 3])
  assert.equal(layersOf({ ...moe, denseLayers: [0, 2] }), [1, 3])
})

test.run()
