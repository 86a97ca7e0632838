/** A setting that is misspelt is refused by name, wherever settings are given: it would do nothing and say nothing. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  conversations,
  type ImageOptions,
  listed,
  packed,
  processor,
  questions,
  shuffled,
  split,
} from '../../src/data/index.ts'
import { exactAnswers, heldOut } from '../../src/eval/index.ts'
import { generator } from '../../src/generation/index.ts'
import { adaLrsReducer } from '../../src/optim/index.ts'
import { nanoModel, nanoTokenizer } from '../../src/tasks/index.ts'
import * as t from '../../src/train/index.ts'
import { tinyModel, tinyProcessor } from '../support/tiny.ts'

const test = suite('misspelt settings')

const source = listed<never>('none', [])
const objective = t.nextToken(tinyModel, tinyProcessor, { rows: 1, tokens: 40 })
const settings = { name: 's', from: 'a', to: 'b', train: Object.values(tinyModel.parts), objective } as const
const stage = { ...settings, source, steps: 3, learningRate: 1e-3 } as const
const begun = { name: 'r', seed: 0, model: tinyModel, start: t.fromScratch, now: 'a' } as const
const sizes = { rows: 1, prompt: 30, capacity: 40 }
const made = generator(tinyModel, tinyProcessor, sizes)
const image: ImageOptions = nanoModel.image
const processed = (options: object) => processor(nanoTokenizer(), options)

/** What is made of settings, the settings, one of their names misspelt, and that name. */
const table: readonly (readonly [make: (s: never) => unknown, s: object, odd: string, name: string])[] = [
  [t.begin, begun, 'nwo', 'now'],
  [(start) => t.begin({ ...begun, start }), t.fromScratch, 'frehs', 'fresh'],
  [
    (o) => t.experiment(t.next(t.supervised(stage))(t.begin(begun)), t.unmeasured, o),
    {},
    'checkpointEvry',
    'checkpointEvery',
  ],
  [(schedule) => t.supervised({ ...stage, schedule }), { kind: 'cosine' }, 'warmpu', 'warmup'],
  [(adaLrs) => t.supervised({ ...stage, steps: 1000, adaLrs }), {}, 'windw', 'window'],
  [t.withLora, { rank: 2, alpha: 4, on: tinyModel.parts.language }, 'alhpa', 'alpha'],
  [adaLrsReducer, { steps: 1000 }, 'lamdba', 'lambda'],
  [heldOut, { family: 'f', objective, source, batches: 1 }, 'metrc', 'metric'],
  [exactAnswers, { generator: made, questions: { q: source }, samples: 1 }, 'lenghts', 'lengths'],
  [(s) => generator(tinyModel, tinyProcessor, s), sizes, 'imags', 'images'],
  [(o) => conversations(source, o), { processor: tinyProcessor }, 'tokns', 'tokens'],
  [(o) => questions(source, o), { processor: tinyProcessor }, 'onBadrow', 'onBadRow'],
  [(o) => shuffled(source, o), { seed: 0, buffer: 2 }, 'sede', 'seed'],
  [(o) => split(source, o), { heldOut: 0.5, by: String }, 'sed', 'seed'],
  [(o) => packed(source, o), { rows: 1, tokens: 9, images: 0, buffer: 1 }, 'visualSlak', 'visualSlack'],
  [processed, {}, 'templat', 'template'],
  [(chat) => processed({ chat }), {}, 'strat', 'start'],
  [(thought) => processed({ thought }), {}, 'opne', 'open'],
  [(own) => processed({ image: own }), image, 'tilling', 'tiling'],
  [(tiling) => processed({ image: { ...image, tiling } }), {}, 'mots', 'most'],
]

for (const [make, own, odd, name] of table)
  test(`${odd} for ${name}`, () => {
    const made = make as (s: object) => unknown
    made(own)
    assert.throws(
      () => made({ ...own, [odd]: undefined }),
      (e: Error) =>
        e.message.includes(`${odd}: there is no such setting; there are `) && e.message.includes(name),
    )
  })

test('adapters without settings, or on no keys, are refused by name', () => {
  assert.throws(() => t.withLora(undefined as never), /withLora, settings: it is undefined/)
  assert.throws(() => t.withLora({ rank: 2, alpha: 4 } as never), /withLora, on: it is undefined; give keys/)
})

test.run()
