/** The objective with which the language model is pretrained: visual tokens made of labels instead of pixels. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { axis, evaluate, fixed, input, pixelShuffle, program } from '../../src/dsl/index.ts'
import { causal } from '../../src/dsl/layers/attention.ts'
import { tensorValue } from '../../src/engine/values.ts'
import { nextTokenLoss, sailVl2From } from '../../src/models/sail-vl2.ts'
import { type Corpus, corpusAt } from '../../src/tasks/corpus.ts'
import { centreClasses, cornerOf, patchGrid, tokenGrid } from '../../src/tasks/patches.ts'
import { sceneToken } from '../../src/tasks/scene-token.ts'
import { nextToken } from '../../src/train/next-token.ts'
import { ratioOf } from '../../src/train/objective.ts'
import { orThrow } from '../../src/train/task.ts'
import { hostEngines } from '../support/engines.ts'
import { tinyRendered as model, tinyRenderedModel, tinyRenderedProcessor } from '../support/tiny.ts'

const engines = await hostEngines()
const test = suite('train: scenes in labels')

test('a patch’s token and corner are those that pixel shuffle gives it', () => {
  const [patches, visual] = [patchGrid ** 2, tokenGrid ** 2]
  const shuffle = pixelShuffle(
    axis('patch', patches),
    axis('channel', 1),
    axis('visual', visual),
    axis('folded', 4),
  )
  const numbered = input('x', [axis('patch', patches), axis('channel', 1)])
  const [shuffled] = evaluate([shuffle.apply(numbered)], {
    inputs: { x: Array.from({ length: patches }, (_, p) => p) },
  })
  for (let p = 0; p < patches; p++) {
    const { token, corner } = cornerOf(p)
    assert.is(shuffled![token * 4 + corner], p)
  }
})

const weights = { read: 1, count: 1, chart: 1, arithmetic: 1 }
const corpus: Corpus = {
  mixture: { seed: 'scene', split: 'bases', levels: [1, 3], weights },
  ...{ captions: 0.3, texts: 0.3 },
}
const sizes = { rows: 6, tokens: 80 }
const objective = sceneToken({ name: 'tiny', config: model }, tinyRenderedProcessor, sizes)

for (const engine of engines)
  test(`${engine.name}: the loss is that of visual tokens added up by hand from the table`, async () => {
    const [visual, embed] = [16, model.language.hiddenSize]
    const loss = fixed(() => {
      const terms = objective.terms(objective.buckets[0]!)
      return { outputs: { mean: ratioOf(terms), rows: terms.metrics!().exactMatch!.weight } }
    })
    const byHand = fixed(() => {
      const [batch, token] = [axis('batch', sizes.rows), axis('token', sizes.tokens)]
      const of = (name: string) => input(name, [batch, token], 'int32')
      const seen = input('visual', [axis('tile', sizes.rows), axis('visual', visual), axis('embed', embed)])
      const logits = sailVl2From(model, seen, {
        ...{ token, ids: of('input_ids'), positions: of('position_ids') },
        ...{ mask: causal(token), visualIndex: of('visual_index') },
      })
      return { outputs: { mean: nextTokenLoss(logits, of('labels')).mean } }
    })
    const session = await orThrow(
      engine.load(program({ name: 'scene', functions: { loss, byHand } }), { seed: 3 }),
    )
    const conversations = Array.from({ length: sizes.rows }, (_, i) => corpusAt(corpus, i))
    assert.ok(conversations.some((c) => c.scene === undefined) && conversations.some((c) => c.scene))
    const feeds = objective.collate(conversations)[0]!.inputs
    const got = await orThrow(session.call('loss', feeds))
    assert.is(Number(got.rows!.data[0]), sizes.rows)

    const key = 'probe.scene.weight'
    const table = (await orThrow(session.read([key]))).get(key)!
    const row = (n: number) => table.data.slice(n * embed, (n + 1) * embed)
    const drawn = conversations.flatMap((c) => (c.scene === undefined ? [] : [c.scene]))
    const seen = new Float32Array(sizes.rows * visual * embed)
    for (let tile = 0; tile < sizes.rows; tile++)
      for (let v = 0; v < visual; v++) {
        const [top, left] = [2 * Math.floor(v / tokenGrid), 2 * (v % tokenGrid)]
        const rows: ReturnType<typeof row>[] = []
        for (const [corner, [dy, dx]] of [
          [0, 0],
          [0, 1],
          [1, 0],
          [1, 1],
        ].entries()) {
          const centre = drawn[tile]?.centres[(top + dy!) * patchGrid + left + dx!] ?? 0
          rows.push(row(corner * centreClasses.length + centre))
        }
        for (const r of rows)
          for (let e = 0; e < embed; e++) seen[(tile * visual + v) * embed + e]! += r[e]! as number
      }
    const { scene, ...others } = feeds
    assert.equal(scene!.shape, [sizes.rows, visual, 4])
    const want = await orThrow(
      session.call('byHand', {
        ...others,
        visual: tensorValue('float32', [sizes.rows, visual, embed], seen),
      }),
    )
    const [a, z] = [Number(got.mean!.data[0]), Number(want.mean!.data[0])]
    assert.ok(Math.abs(a - z) < 1e-5 * z, `${a} and ${z}`)
    await orThrow(session.close())
  })

test('a scene that is not drawn is no image for the objective that needs one', () => {
  const c = Array.from({ length: 9 }, (_, i) => corpusAt(corpus, i)).find((one) => one.scene !== undefined)!
  assert.throws(
    () => nextToken(tinyRenderedModel, tinyRenderedProcessor, sizes).collate([c]),
    new RegExp(`${c.id} has 0 images but 16 image tokens; they take 0`),
  )
})

test.run()
