/**
 * An experiment for tests of weights that a stage has no place for: a small SAIL-VL2 that learns from images, from texts alone
 * in two stages, and from images again. `--set` says the folder of the weights that it begins with (`start`), whether the first
 * stage of texts is all that there is (`alone`), its learning rate, and the example that its data breaks off at (`fail`, which
 * is no setting of the recipe).
 */
import { pipe } from 'fp-ts/lib/function.js'
import type { Conversation } from '../../../src/data/conversation.ts'
import { conversation, type Source } from '../../../src/data/index.ts'
import { openCheckpoint } from '../../../src/formats/index.ts'
import { sailVl2Parts } from '../../../src/models/index.ts'
import * as t from '../../../src/train/index.ts'
import { tinyModel, tinyProcessor, tinyStage } from '../tiny.ts'

const chats = (fail: number): Source<Conversation> => ({
  config: { kind: 'chats' },
  async *open(place) {
    for (let i = (place as number | undefined) ?? 0; ; i++) {
      if (fail > 0 && i >= fail) throw new Error('the data broke off')
      const example = conversation(tinyProcessor, { id: `${i}`, request: `say ${i % 7}`, answer: `${i % 5}` })
      yield { example, next: i + 1 }
    }
  },
})

const file: t.ExperimentFile = ({ seed, setting }) => {
  const folder = setting.text('start', '')
  const start = folder === '' ? t.fromScratch : { config: folder, weights: openCheckpoint(folder) }
  const begun = t.begin({ name: 'in-parts', seed, model: tinyModel, start, now: 'fresh' })
  const objective = t.nextToken(tinyModel, tinyProcessor, { rows: 2, tokens: 24, images: 0 })
  const texts = { train: [sailVl2Parts.language], objective, steps: 6 } as const
  const talk = t.supervised({
    ...{ ...texts, name: 'talk', from: 'seen', to: 'talking', learningRate: setting.number('rate', 5e-3) },
    source: chats(2 * setting.integer('fail', 0)),
  })
  if (setting.flag('alone', false))
    return t.experiment(pipe({ ...begun, now: 'seen' as const }, t.next(talk)), t.unmeasured)
  return t.experiment(
    pipe(
      begun,
      t.next(tinyStage({ name: 'see', to: 'seen', steps: 2, learningRate: 5e-2 })),
      t.next(talk),
      t.next(
        t.supervised({
          ...{ ...texts, name: 'think', from: 'talking', to: 'thinking', learningRate: 5e-3 },
          source: chats(0),
        }),
      ),
      t.next(tinyStage({ name: 'look', from: 'thinking', to: 'looking', steps: 2 })),
    ),
    t.unmeasured,
  )
}

export default file
