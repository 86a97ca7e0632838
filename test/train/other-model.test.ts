/** Nothing in training belongs to one model: batches, losses and learning with another tokenizer and two images a row. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipe } from 'fp-ts/lib/function.js'
import { firstValueFrom, toArray } from 'rxjs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Conversation } from '../../src/data/conversation.ts'
import { imagenetNormalise } from '../../src/data/image.ts'
import { listed, repeated } from '../../src/data/source.ts'
import { evaluate } from '../../src/dsl/evaluate.ts'
import { elements, fill, parametersOf, type Tensor } from '../../src/dsl/index.ts'
import { exactAnswers } from '../../src/eval/exact-answer.ts'
import { heldOut } from '../../src/eval/held-out.ts'
import { generator } from '../../src/generation/generator.ts'
import { adamWith } from '../../src/optim/index.ts'
import { allOf } from '../../src/train/evaluation.ts'
import { nextToken } from '../../src/train/next-token.ts'
import { lossOf, ratioOf } from '../../src/train/objective.ts'
import { begin, next } from '../../src/train/recipe.ts'
import { experiment } from '../../src/train/recipe-experiment.ts'
import { fromScratch } from '../../src/train/recipe-start.ts'
import { supervised } from '../../src/train/supervised.ts'
import { hostEngines } from '../support/engines.ts'
import {
  other,
  otherConversation,
  otherLength,
  otherModel,
  otherProcessor,
  pairAt,
} from '../support/other.ts'
import { contextIn } from '../support/tiny.ts'

const engines = await hostEngines()

const perImage = 4
const sizes = (rows: number, images: number, tokens = otherLength) => ({ rows, tokens, images })
const four = [0, 1, 2, 3].map(pairAt)
const text = (id: string): Conversation => ({
  ...{ id, images: [], promptLength: 3 },
  ...{ ids: [0, 7, 15, 11, 1], lossMask: [false, false, false, true, true] },
})

// --- batches ----------------------------------------------------------------------------------------------------

const batches = suite('other model: batches')

batches('each image has places of its own, in the order of rows and images', () => {
  const rows = [four[1]!, text('none'), four[2]!]
  const [batch, ...more] = nextToken(otherModel, otherProcessor, sizes(3, 5)).collate(rows)
  assert.is(more.length, 0)
  const { input_ids, labels, position_ids, visual_index, pixel_values } = batch!.inputs
  const placeholder = otherProcessor.image!.placeholder
  let place = 0
  rows.forEach((c, r) => {
    for (let t = 0; t < otherLength; t++) {
      const at = r * otherLength + t
      const id = c.ids[t]
      assert.is(input_ids!.data[at], id ?? otherProcessor.pad)
      assert.is(position_ids!.data[at], id === undefined ? 0 : t)
      assert.is(labels!.data[at], c.lossMask[t] ? id : -100)
      assert.is(visual_index!.data[at], id === placeholder ? place++ : -1)
    }
  })
  assert.is(place, 4 * perImage)
  assert.equal(pixel_values!.shape, [5, 3, 8, 8])
  const images = rows.flatMap((c) => c.images)
  assert.is(images.length, 4)
  images.forEach((image, n) => {
    assert.equal(pixel_values!.data.subarray(n * 192, (n + 1) * 192), imagenetNormalise(image), `image ${n}`)
  })
  assert.ok(pixel_values!.data.subarray(4 * 192).every((x) => x === 0))
})

batches('as many micro-batches as it takes, the last one padded', () => {
  const all = nextToken(otherModel, otherProcessor, sizes(3, 6)).collate(four)
  assert.is(all.length, 2)
  const two = all[1]!
  assert.equal([...two.inputs.input_ids!.data.slice(0, four[3]!.ids.length)], [...four[3]!.ids])
  assert.ok(two.inputs.input_ids!.data.slice(otherLength).every((id) => id === otherProcessor.pad))
  assert.equal(two.inputs.pixel_values!.data.slice(0, 192), imagenetNormalise(four[3]!.images[0]!))
})

batches.run()

// --- losses -----------------------------------------------------------------------------------------------------

const losses = suite('other model: losses')

/** Weights of every parameter, norms and biases moved off their plain start. */
const statesFor = (roots: readonly Tensor[]): Record<string, ArrayLike<number>> =>
  Object.fromEntries(
    [...parametersOf(...roots)].map(([key, t]) => [
      key,
      fill({ kind: 'uniform', limit: 0.6 }, elements(t.axes), 3, key).map((x) =>
        key.includes('norm') ? 1 + x : x,
      ),
    ]),
  )

/** Sum, weight and metrics of conversations in one batch of these sizes. */
const termsOf = (conversations: readonly Conversation[], s: ReturnType<typeof sizes>) => {
  const objective = nextToken(otherModel, otherProcessor, s)
  const terms = objective.terms(objective.buckets[0]!)
  const { correct, exactMatch } = terms.metrics!()
  const roots = [
    terms.sum,
    terms.weight,
    ...[correct!, exactMatch!].flatMap((f) => [f.sum, f.weight]),
    lossOf(terms),
  ]
  const [batch] = objective.collate(conversations)
  const inputs = Object.fromEntries(Object.entries(batch!.inputs).map(([k, v]) => [k, v.data]))
  const numbers = evaluate([...roots, ratioOf(terms)], { inputs, states: statesFor(roots) }).map((v) => v[0]!)
  return numbers as [number, number, number, number, number, number, number, number]
}
const near = (what: string, got: number, want: number): void =>
  assert.ok(Math.abs(got - want) <= 1e-9 * Math.max(1, Math.abs(want)), `${what}: ${got} for ${want}`)

losses('a batch comes to what its conversations come to one by one, whatever stands around them', () => {
  const rows = [...four, text('none')]
  const alone = rows.map((c) => termsOf([c], sizes(1, c.images.length || 1)))
  const together = termsOf(rows, sizes(7, 9, otherLength + 3))
  for (const [i, what] of ['sum', 'weight', 'correct', 'counted', 'whole rows', 'rows'].entries())
    near(
      what,
      together[i]!,
      alone.reduce((n, one) => n + one[i]!, 0),
    )
  near('the mean', together[6]!, together[0] / together[1])
  near('as a ratio', together[7]!, together[0] / together[1])
  assert.is(together[5], rows.length)
  assert.is(
    together[1],
    rows.reduce((n, c) => n + c.lossMask.filter(Boolean).length, 0),
  )
})

losses('each image of a conversation counts, and its order', () => {
  const [dark, light] = ['dark', 'light'] as const
  const loss = (a: 'dark' | 'light', b: 'dark' | 'light'): number => {
    const c = otherConversation(0, [a, b])
    // the answer stays the same, so that images alone differ
    return termsOf([{ ...otherConversation(0, [dark, dark]), images: c.images }], sizes(1, 2))[0]
  }
  const all = [loss(dark, dark), loss(dark, light), loss(light, dark), loss(light, light)]
  assert.is(new Set(all.map((x) => x.toFixed(9))).size, 4, `${all}`)
})

losses('another conversation’s images change nothing', () => {
  const [a, b] = [otherConversation(0, ['dark', 'light']), otherConversation(1, ['light', 'dark'])]
  const masked = (c: Conversation): Conversation => ({ ...c, lossMask: c.lossMask.map(() => false) })
  const objective = nextToken(otherModel, otherProcessor, sizes(2, 4))
  const sum = (first: Conversation, second: Conversation): number => {
    const terms = objective.terms(objective.buckets[0]!)
    const [batch] = objective.collate([first, second])
    const labels = { ...batch!.inputs.labels!, data: batch!.inputs.labels!.data.slice() }
    // of the second nothing counts
    labels.data.fill(-100, otherLength)
    const inputs = Object.fromEntries(
      Object.entries({ ...batch!.inputs, labels }).map(([k, v]) => [k, v.data]),
    )
    return evaluate([terms.sum], { inputs, states: statesFor([terms.sum]) })[0]![0]!
  }
  near('the first row', sum(a, b), sum(a, { ...b, images: [...b.images].reverse() }))
  assert.ok(Math.abs(sum(a, b) - sum({ ...a, images: [...a.images].reverse() }, b)) > 1e-9)
  assert.throws(() => objective.collate([masked(a), b]), /nothing to learn/)
})

losses.run()

// --- learning ---------------------------------------------------------------------------------------------------

const learning = suite(`other model: learning on ${engines.map((e) => e.name).join(' and ')}`)
const folders: string[] = []
learning.after(async () => {
  for (const f of folders) await rm(f, { recursive: true, force: true })
})

for (const engine of engines)
  learning(`${engine.name}: what the second image shows is learnt, measured and written`, async () => {
    const at = await mkdtemp(join(tmpdir(), 'sailwright-other-'))
    folders.push(at)
    const examples = Array.from({ length: 12 }, (_, i) => pairAt(i))
    const objective = nextToken(otherModel, otherProcessor, sizes(4, 8))
    const stage = supervised({
      ...{ name: 'pairs', from: 'fresh', to: 'tuned', train: Object.values(otherModel.parts), objective },
      source: repeated(listed('pairs', examples)),
      ...{ steps: 150, learningRate: 2e-2, optimizer: adamWith({ weightDecay: 0 }) },
    })
    const questions = listed(
      'pairs',
      examples.map((c, i) => ({
        conversation: c,
        question: 'what',
        expected: `second ${i % 2 === 0 ? 'dark' : 'light'}`,
      })),
    )
    const asked = generator(otherModel, otherProcessor, { rows: 5, prompt: 24, capacity: 30, images: 10 })
    const evaluation = allOf(
      exactAnswers({ generator: asked, questions: { pairs: questions }, samples: 12 }),
      heldOut({ family: 'tokens', stage: 'pairs', objective, source: listed('pairs', examples), batches: 3 }),
      heldOut({
        ...{ family: 'rows', stage: 'pairs', objective, metric: 'exactMatch' },
        ...{ source: listed('pairs', examples), batches: 2 },
      }),
    )
    const recipe = pipe(
      begin({ name: 'other', seed: 1, model: otherModel, start: fromScratch, now: 'fresh' }),
      next(stage),
    )
    const events = await firstValueFrom(
      experiment(recipe, evaluation).run(contextIn(at, engine)).pipe(toArray()),
    )
    const lost = events.flatMap((e) => (e.type === 'step' ? [e.loss] : []))
    assert.ok(lost[0]! > 0.6 * Math.log(other.language.vocabSize), `it begins at ${lost[0]}`)
    // blind to the second image it could not fall below ln 2 on one token of three: 0.23 in the mean
    assert.ok(lost.at(-1)! < 0.02, `it ends at ${lost.at(-1)}`)
    const measured = events.flatMap((e) => (e.type === 'evaluated' ? [[e.family, e.correct, e.total]] : []))
    assert.equal(measured, [
      ['pairs', 12, 12],
      ['tokens', 36, 36],
      ['rows', 8, 8],
    ])
    const said = events.flatMap((e) => (e.type === 'predicted' ? [e.text.trim()] : []))
    assert.equal(said.slice(0, 2), ['second dark', 'second light'])
  })

learning.run()
