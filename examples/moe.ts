/**
 * SAIL-VL2's experts (§2.2) for two cores: nano's language model upcycled to 8 experts a layer, taught to use them by language
 * alone, joined to the encoder, its routers calibrated on language data, then tuned. `--set calibrate=off` does without.
 */
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { type Conversation, indexed, type Source } from 'sailwright/data'
import { anyOf, type Keys, keys } from 'sailwright/dsl'
import { expertEntropy, heldOut } from 'sailwright/eval'
import { moeNano, sailVl2Model, upcycled } from 'sailwright/models'
import { adamWith } from 'sailwright/optim'
import * as n from 'sailwright/tasks'
import * as t from 'sailwright/train'

const model = sailVl2Model('moe-nano', moeNano)
const { vision, adapter, language } = model.parts
const objective = t.nextToken(model, n.nanoProcessor(), { rows: 8, tokens: 80 })
const weights = { read: 1.5, count: 2, chart: 1.7, arithmetic: 0.3 }
const mixture = (seed: string) => ({ seed, split: 'train', levels: [1, 3], weights }) as const
const pictures = (seed: string) => n.rendered({ mixture: mixture(seed), captions: 0.3 })
/** Written arithmetic, and descriptions of pictures that nobody sees. */
const texts = (seed: string) =>
  indexed({ kind: 'texts', seed }, function* (from) {
    for (let i = from; ; i++) {
      const blind = { prompt: n.captionRequest, answer: n.describeAt(mixture(seed), i).caption }
      yield n.textConversation(`${seed}/${i}`, i % 2 === 0 ? n.textAt(seed, i) : blind)
    }
  })
const bases = TE.map((w: t.Weights) => upcycled(moeNano.language.moe!, w))(n.nanoBases)
const fresh = anyOf([adapter, keys('routers', '**.mlp.gate.weight')])
const ends = { from: 'bases', to: 'bases' } as const
const measured = { objective, source: pictures('measure'), batches: 4 }

const file: t.ExperimentFile = ({ quick, seed, setting }) => {
  const steps = setting.integer('steps', quick ? 2 : 200, { from: 1 })
  const calibrated = setting.choice('calibrate', ['on', 'off'], 'on') === 'on'
  const about = { objective, steps, optimizer: adamWith({ beta2: 0.98 }) }
  const stage = (name: string, train: readonly Keys[], learningRate: number, source: Source<Conversation>) =>
    t.next(t.supervised({ ...about, ...ends, name, train, learningRate, source }))
  const start = { config: 'the nano bases, upcycled', weights: bases, fresh }
  const joined = pipe(
    t.begin({ name: 'moe', seed, model, start, now: 'bases' }),
    stage('language', [language], 1e-3, texts(`language/${seed}`)),
    stage('alignment', [adapter], 4e-3, pictures(`alignment/${seed}`)),
  )
  const probe = { ...ends, name: 'calibration', objective, source: texts(`probe/${seed}`) }
  const ready = calibrated ? pipe(joined, t.next(t.calibration(probe))) : joined
  const recipe = pipe(ready, stage('sft', [vision, adapter, language], 1e-3, pictures(`sft/${seed}`)))
  const entropy = expertEntropy({ ...measured, family: 'pictures' })
  const spoken = expertEntropy({ ...measured, family: 'text', source: texts('measure') })
  return t.experiment(
    recipe,
    t.allOf(spoken, entropy, heldOut({ ...measured, family: 'loss', metric: 'loss' })),
  )
}

export default file
