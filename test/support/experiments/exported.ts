/**
 * An experiment for tests of exports: `--set kind` says which model it trains, in a few steps: `text` (a Qwen3, with moving
 * averages), `joined` (a SAIL-VL2), `lora` (adapters on the Qwen3), `lora-twice` (in two stages), `experts` (adapters on one of two layers, the other of
 * which has experts), `own` (a classifier of the file's own, and an objective that learns the prior of its classes beside it),
 * `told` (a Qwen3 whose layers are as many as the seed, half as wide in a short pass, and which needs `--data`).
 */
import { pipe } from 'fp-ts/lib/function.js'
import { conversation } from '../../../src/data/conversation.ts'
import { processor } from '../../../src/data/processor.ts'
import * as d from '../../../src/dsl/index.ts'
import { tensorValue } from '../../../src/engine/index.ts'
import { type Model, qwen3Model } from '../../../src/models/index.ts'
import { loraKeys } from '../../../src/optim/index.ts'
import { nanoTokenizer } from '../../../src/tasks/nano.ts'
import * as t from '../../../src/train/index.ts'
import { tiny, tinyModel, tinyStage, watched } from '../tiny.ts'

const texts = processor(nanoTokenizer())
const text = qwen3Model('tiny-text', tiny.language)
const experts = qwen3Model('tiny-experts', {
  ...{ ...tiny.language, layers: 2 },
  moe: { experts: 2, perToken: 1, intermediateSize: 8, normalise: true, denseLayers: [0] },
})
const chats = watched((i) => conversation(texts, { id: `${i}`, request: `say ${i % 5}`, answer: `${i % 5}` }))

const [point, hidden, classes] = [d.axis('point', 3), d.axis('hidden', 8), d.axis('class', 2)]
const classify = (batch: number): d.Tensor =>
  d
    .at('head')(d.linear(hidden, classes))
    .apply(
      d
        .at('body')(d.linear(point, hidden))
        .apply(d.input('points', [d.axis('batch', batch), point])),
    )
const own: Model = {
  ...{ name: 'classifier', config: { hidden: 8, classes: 2 }, parts: { all: d.everyKey } },
  graph: ({ batch = 1 } = {}) => classify(batch),
}
const ownObjective: t.Objective<number> = {
  ...{ name: 'classify', config: { kind: 'classify' }, unit: 'nats', model: own, batch: 4, buckets: [{}] },
  own: d.keys('prior', 'prior'),
  terms: () =>
    t.crossEntropyTerms('class', {
      logits: d.add(classify(4), d.parameter('prior', [classes], d.zeros)),
      labels: d.input('labels', [d.axis('batch', 4)], 'int32'),
    }),
  collate: (examples) => [
    {
      sizes: {},
      inputs: {
        points: tensorValue(
          'float32',
          [4, 3],
          examples.flatMap((i) => [i % 2, 1, i % 3]),
        ),
        labels: tensorValue(
          'int32',
          [4],
          examples.map((i) => i % 2),
        ),
      },
      weight: 4,
    },
  ],
}

const file: t.ExperimentFile = ({ data, quick, seed, setting }) => {
  const kind = setting.choice(
    'kind',
    ['text', 'joined', 'lora', 'lora-twice', 'experts', 'own', 'told'],
    'text',
  )
  const steps = setting.integer('steps', 3, { from: 1 })
  const begun = (model: Model) =>
    t.begin({
      ...{ name: `exported-${kind}`, seed, model, now: 'fresh' },
      start: { ...t.fromScratch, config: setting.text('start', 'fresh') },
    })
  const about = { name: 'tune', from: 'fresh', to: 'tuned', steps, learningRate: 1e-2 } as const
  if (kind === 'joined')
    return t.experiment(pipe(begun(tinyModel), t.next(tinyStage({ name: 'tune', steps }))), t.unmeasured)
  if (kind === 'own') {
    const stage = t.supervised({
      ...{ ...about, train: [d.everyKey], objective: ownObjective, source: watched((i) => i) },
    })
    return t.experiment(pipe(begun(own), t.next(stage)), t.unmeasured)
  }
  if (kind === 'told') {
    data.path()
    const size = { layers: seed, intermediateSize: quick ? 12 : 24 }
    const model = qwen3Model('tiny-told', { ...tiny.language, ...size })
    const objective = t.nextToken(model, texts, { rows: 4, tokens: 24 })
    const stage = t.supervised({ ...about, train: [d.everyKey], objective, source: chats })
    return t.experiment(pipe(begun(model), t.next(stage)), t.unmeasured)
  }
  const model = kind === 'experts' ? experts : text
  const objective = t.nextToken(model, texts, { rows: 4, tokens: 24 })
  const on = d.keys('projections', kind === 'experts' ? '**.layers.0.**_proj.weight' : '**_proj.weight')
  const adapters = { train: [loraKeys], transforms: [t.withLora({ rank: 2, alpha: 4, on })] }
  const stage = t.supervised({
    ...{ ...about, objective, source: chats },
    ...(kind === 'text' ? { train: [d.everyKey], ema: 0.9 } : adapters),
  })
  if (kind === 'lora-twice') {
    const more = { ...about, name: 'more', from: 'tuned', to: 'more tuned' } as const
    const again = t.supervised({ ...more, objective, source: chats, ...adapters })
    return t.experiment(pipe(begun(model), t.next(stage), t.next(again)), t.unmeasured)
  }
  return t.experiment(pipe(begun(model), t.next(stage)), t.unmeasured)
}

export default file
