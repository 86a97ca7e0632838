/**
 * An experiment for tests of single stages: three of a small Qwen3. `--set` says its learning rate and size (`scale`), its
 * hidden size, and the example that the second stage's data breaks off at (`fail`, which is no setting of the recipe). Where
 * `shy` is set, the last stage's data cannot be opened.
 */
import { pipe } from 'fp-ts/lib/function.js'
import { type Conversation, conversation, processor, type Source } from '../../../src/data/index.ts'
import { everyKey } from '../../../src/dsl/index.ts'
import { qwen3Model } from '../../../src/models/index.ts'
import { nanoTokenizer } from '../../../src/tasks/index.ts'
import * as t from '../../../src/train/index.ts'
import { tiny } from '../tiny.ts'

const texts = processor(nanoTokenizer())

const chats = (fail: number): Source<Conversation> => ({
  config: { kind: 'chats' },
  async *open(place) {
    for (let i = (place as number | undefined) ?? 0; ; i++) {
      if (fail > 0 && i >= fail) throw new Error('the data broke off')
      const example = conversation(texts, { id: `${i}`, request: `say ${i % 7}`, answer: `${(i * 3) % 7}` })
      yield { example, next: i + 1 }
    }
  },
})

const file: t.ExperimentFile = ({ seed, quick, setting }) => {
  const steps = Math.round(4 * setting.number('scale', quick ? 0.5 : 1))
  const model = qwen3Model('staged', { ...tiny.language, hiddenSize: setting.integer('hidden', 16) })
  const objective = t.nextToken(model, texts, { rows: 2, tokens: 24 })
  const about = { objective, train: [everyKey], steps, learningRate: setting.number('rate', 5e-3) } as const
  const fail = 2 * setting.integer('fail', 0)
  return t.experiment(
    pipe(
      t.begin({ name: 'staged', seed, model, start: t.fromScratch, now: 'fresh' }),
      t.next(t.supervised({ ...about, name: 'warm', from: 'fresh', to: 'warm', source: chats(0) })),
      t.next(t.supervised({ ...about, name: 'tune', from: 'warm', to: 'tuned', source: chats(fail) })),
      t.next(
        t.supervised({
          ...{ ...about, name: 'polish', from: 'tuned', to: 'polished' },
          source: chats(setting.flag('shy', false) ? 1 : 0),
        }),
      ),
    ),
    t.unmeasured,
  )
}

export default file
