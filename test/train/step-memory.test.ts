/** What a step of training holds: its weights and moments are those that an engine holds, its activations are those of the graph. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  add,
  axis,
  contract,
  countParameters,
  gradient,
  input,
  keptBytes,
  keys,
  parameter,
  parametersOf,
  peakBytes,
  reshape,
  square,
  tanh,
  total,
  zeros,
} from '../../src/dsl/index.ts'
import { type CausalLm, presetModel, presets, qwen3Model } from '../../src/models/index.ts'
import { adamWith, loraKeys, muon } from '../../src/optim/index.ts'
import { learnerProgram, orThrow, withLora } from '../../src/train/index.ts'
import { learnerMemory, stepMemory } from '../../src/train/internal.ts'
import { nextToken, nextTokenTerms } from '../../src/train/next-token.ts'
import { hostEngines } from '../support/engines.ts'
import { messageThrown, tinyModel, tinyProcessor } from '../support/tiny.ts'

const engines = await hostEngines()
const test = suite(`train: the memory of a step, on ${engines.map((e) => e.name).join(' and ')}`)

const [Row, Embed, Hidden] = [axis('row', 8), axis('embed', 4), axis('hidden', 16)]
const x = input('x', [Row, Embed])
const first = parameter('first', [Hidden, Embed], zeros)
const second = parameter('second', [Embed, Hidden], zeros)
const kept = (loss: ReturnType<typeof total>, ...learns: Parameters<typeof gradient>[1]) =>
  keptBytes([loss], gradient(loss, learns))

test('of a small network it is what one counts by hand', () => {
  const hidden = tanh(contract(x, first, 'embed'))
  const out = contract(hidden, second, 'hidden')
  const loss = total(square(out))
  // tanh's slope is told by its result; the square's by what was squared
  assert.is(kept(loss, first, second), 4 * (8 * 16 + 8 * 4))
  // the second matrix's gradient alone needs the same results, but nothing in front of them
  assert.is(kept(loss, second), 4 * (8 * 16 + 8 * 4))
  // a sum's slope is known
  assert.is(kept(total(contract(x, first, 'embed')), first), 0)
  // a view holds nothing of its own, and is held once with what it shows
  const flat = reshape(hidden, [axis('all', 128)])
  assert.is(kept(total(add(total(square(flat)), total(square(hidden)))), first), 4 * 128)
})

test('of what lies at once it is what one counts by hand', () => {
  const line = input('line', [axis('row', 8)])
  const made = tanh(line)
  // the first beside the second; a number
  assert.is(peakBytes([total(tanh(made))], []), 4 * 8 * 2)
  // what comes after reads the first: it stays while the third is made beside the second
  const deep = tanh(tanh(made))
  assert.is(peakBytes([total(deep)], [total(made)]), 4 * 8 * 3)
  assert.is(peakBytes([total(deep)], []), 4 * 8 * 2)
  // a view is no copy
  assert.is(peakBytes([total(reshape(made, [axis('all', 8)]))], []), 4 * 8 + 4)
})

const sizes = { rows: 2, tokens: 24, images: 2 }
const parts = Object.values(tinyModel.parts)
const adapters = {
  train: [loraKeys],
  transforms: [withLora({ rank: 2, alpha: 4, on: keys('queries', '**.q_proj.weight') })],
}
const plans = {
  everything: { train: parts },
  'a part': { train: [tinyModel.parts.adapter] },
  adapters,
  Muon: { train: parts, optimizer: muon() },
}

for (const [name, plan] of Object.entries(plans))
  test(`${name}: weights and moments are as many bytes as engines hold`, async () => {
    const planned = stepMemory({ model: tinyModel, sizes, ...plan })
    const { program, trained } = learnerProgram({
      ...{ name, maxGradientNorm: 1, accumulate: 1, optimizer: adamWith(), ...plan },
      objective: {
        ...{ name, config: {}, unit: 'nats', model: tinyModel, batch: 2, buckets: [sizes] },
        ...{ terms: () => nextTokenTerms(tinyModel, sizes), collate: () => [] },
      },
    })
    for (const engine of engines) {
      const session = await orThrow(engine.load(program, { seed: 1 }))
      const held = await orThrow(session.read([...program.states.keys()]))
      await orThrow(session.close())
      const bytesOf = (of: (key: string) => boolean): number =>
        [...held].reduce((n, [key, { data }]) => n + (of(key) ? data.byteLength : 0), 0)
      const isMoment = (key: string): boolean => key.startsWith('optimizer.')
      assert.is(
        planned.weights,
        bytesOf((key) => !isMoment(key)),
        engine.name,
      )
      assert.is(planned.optimizer, bytesOf(isMoment), engine.name)
      assert.is(
        planned.gradients,
        bytesOf((key) => trained.includes(key)),
        engine.name,
      )
    }
    assert.is(planned.weights, 4 * planned.parameters)
    assert.is(planned.gradients, 4 * planned.trained)
  })

test('gradients that add up are states of their own, and the same is kept', () => {
  const made = (accumulate: number) =>
    learnerMemory(
      learnerProgram({
        ...{ name: 'of several', maxGradientNorm: 1, accumulate, optimizer: adamWith(), train: parts },
        objective: {
          ...{ name: 'of several', config: {}, unit: 'nats', model: tinyModel, batch: 2, buckets: [sizes] },
          ...{ terms: () => nextTokenTerms(tinyModel, sizes), collate: () => [] },
        },
      }),
    )
  const [one, several] = [made(1), made(2)]
  assert.is(one.others, 0)
  // a gradient of each weight, the loss and its weight
  assert.is(several.others, one.gradients + 8)
  for (const key of ['weights', 'optimizer', 'gradients'] as const) assert.is(several[key], one[key])
  assert.ok(Math.abs(several.activations - one.activations) <= 0.02 * one.activations)
})

test('of a step in several sizes it is what the largest takes', () => {
  const of = (learnt: number | 'auto' | 'all') =>
    learnerMemory(
      learnerProgram({
        ...{ name: 'sizes', maxGradientNorm: 1, accumulate: 1, optimizer: adamWith(), train: parts },
        objective: nextToken(tinyModel, tinyProcessor, { rows: 2, tokens: 128, learnt }),
      }),
    )
  assert.equal(of('auto'), of('all'))
  assert.ok(of(32).activations < of('all').activations)
})

test('a frozen part keeps less; more rows and tokens keep more; adapters learn little', () => {
  const of = (more: Partial<Parameters<typeof stepMemory>[0]>) =>
    stepMemory({ model: tinyModel, sizes, train: parts, ...more })
  const all = of({})
  assert.is(of({ train: [tinyModel.parts.language] }).activations < all.activations, true)
  assert.is(of({ sizes: { ...sizes, tokens: 48 } }).activations > all.activations, true)
  assert.is(of({ sizes: { rows: 4, tokens: 24, images: 4 } }).activations > 1.9 * all.activations, true)
  const little = of(adapters)
  assert.is(all.storedWeights, all.weights, 'what learns has its float32')
  const large = { rows: 1, tokens: 2048, images: 0 }
  const [short, long] = [of({ sizes: { ...large, tokens: 1024 } }), of({ sizes: large })]
  assert.ok(
    long.activations < 2.6 * short.activations,
    'attention of long rows runs in blocks, whose scores are not kept',
  )
  assert.is(little.trained, 2 * (16 + 12))
  assert.is(little.parameters, all.parameters + little.trained)
})

test('what works beside gradients and activations is the logits of a large vocabulary, once more at least', () => {
  const model = qwen3Model('wide', {
    ...{ vocabSize: 4096, hiddenSize: 16, intermediateSize: 16, layers: 1, heads: 2, kvHeads: 1, headDim: 8 },
    ...{ ropeTheta: 1e4, epsilon: 1e-6, tied: true },
  })
  const of = (tokens: number): number =>
    stepMemory({ model, train: Object.values(model.parts), sizes: { rows: 1, tokens, images: 0 } }).working
  assert.ok(of(512) >= 4 * 512 * 4096, `${of(512)}`)
  assert.ok(of(1024) > 1.9 * of(512))
})

test('a published model is counted without its weights', () => {
  const model = presetModel('qwen3-0.6b', presets['qwen3-0.6b']!) as CausalLm
  const whole = stepMemory({
    model,
    sizes: { rows: 1, tokens: 32, images: 0 },
    train: Object.values(model.parts),
  })
  assert.is(whole.parameters, 596_049_920)
  assert.is(whole.parameters, countParameters(parametersOf(model.graph())))
  assert.is(whole.weights, 4 * 596_049_920)
  // two moments of each and a count
  assert.is(whole.optimizer, 8 * 596_049_920 + 4)
})

test('what cannot be planned is said', () => {
  const of = (more: object) =>
    messageThrown(() => stepMemory({ model: tinyModel, sizes, train: parts, ...more }))
  assert.match(of({ sizes: { ...sizes, rows: 0 } }), /rows: it is 0/)
  assert.match(of({ train: [keys('nothing', 'none.**')] }), /depends on no such parameter/)
})

test.run()
