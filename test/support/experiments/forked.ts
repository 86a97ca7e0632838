/**
 * An experiment for tests of forks: two stages of a small Qwen3. `--set` says its learning rate, its layers, its hidden
 * size, whether its head is tied, the base of its positions (`theta`), how its second stage is called, whether this trains
 * adapters (`lora`), the file of rows that it reads (`rows`), of its teacher's weights (`teacher`), and the example that its data breaks off at (`fail`, which is no
 * setting of the recipe).
 */
import { pipe } from 'fp-ts/lib/function.js'
import {
  type Conversation,
  conversation,
  conversations,
  processor,
  repeated,
  type Source,
} from '../../../src/data/index.ts'
import { everyKey, keys } from '../../../src/dsl/index.ts'
import { openCheckpoint } from '../../../src/formats/index.ts'
import { qwen3Model } from '../../../src/models/index.ts'
import { loraKeys } from '../../../src/optim/index.ts'
import { nanoTokenizer } from '../../../src/tasks/index.ts'
import * as t from '../../../src/train/index.ts'
import { tiny } from '../tiny.ts'

const texts = processor(nanoTokenizer())

const chats: Source<Conversation> = {
  config: { kind: 'chats' },
  async *open(place) {
    for (let i = (place as number | undefined) ?? 0; ; i++) {
      const example = conversation(texts, { id: `${i}`, request: `say ${i % 7}`, answer: `${(i * 3) % 7}` })
      yield { example, next: i + 1 }
    }
  },
}

const broken = (source: Source<Conversation>, fail: number): Source<Conversation> => ({
  config: source.config,
  async *open(place) {
    let i = 0
    for await (const { example, next } of source.open((place as [unknown, number] | undefined)?.[0])) {
      const at = ((place as [unknown, number] | undefined)?.[1] ?? 0) + i++
      if (fail > 0 && at >= fail) throw new Error('the data broke off')
      yield { example, next: [next, at + 1] }
    }
  },
})

const file: t.ExperimentFile = ({ data, seed, setting }) => {
  const config = {
    ...tiny.language,
    layers: setting.integer('layers', 2),
    hiddenSize: setting.integer('hidden', 16),
    tied: setting.flag('tied', true),
    ropeTheta: setting.number('theta', tiny.language.ropeTheta),
  }
  const model = qwen3Model('forked', config)
  const objective = t.nextToken(model, texts, { rows: 2, tokens: 24 })
  const about = { objective, train: [everyKey] } as const
  const warm = t.supervised({
    ...{ ...about, name: 'warm', from: 'fresh', to: 'warm', steps: 3, learningRate: 1e-2 },
    source: chats,
  })
  const name = setting.text('second', 'tune')
  const rows = setting.text('rows', '')
  const on = keys('queries', '**.q_proj.weight')
  const adapters = { train: [loraKeys], transforms: [t.withLora({ rank: 2, alpha: 4, on })] }
  const teacher = setting.text('teacher', '')
  const distill = t.distillation({
    teacher: { model, config: 'a teacher', weights: openCheckpoint(teacher) },
  })
  const tune = t.supervised({
    ...(setting.flag('lora', false) ? { ...about, ...adapters } : about),
    ...(teacher === '' ? {} : { objective: t.nextToken(model, texts, { rows: 2, tokens: 24 }, { distill }) }),
    ...{ name, from: 'warm', to: 'tuned', steps: 12, learningRate: setting.number('rate', 5e-3) },
    source: broken(
      rows === '' ? chats : conversations(repeated(data.rows(rows)), { processor: texts }),
      2 * setting.integer('fail', 0),
    ),
  })
  const begun = t.begin({ name: 'forked', seed, model, start: t.fromScratch, now: 'fresh' })
  return t.experiment(
    name === 'tune'
      ? pipe(begun, t.next(warm), t.next(tune))
      : pipe({ ...begun, now: 'warm' as const }, t.next(tune)),
    t.unmeasured,
  )
}

export default file
