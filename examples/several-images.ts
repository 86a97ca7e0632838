/**
 * The nano SAIL-VL2 on questions about several images: which of them differs, in which frame of a video something changes.
 *
 *     sailwright run examples/several-images.ts
 *
 * First the adapter learns what one image shows, then adapter and language model to answer about three or four.
 */
import { pipe } from 'fp-ts/lib/function.js'
import { exactAnswers, generator } from 'sailwright/eval'
import * as tasks from 'sailwright/tasks'
import { begin, type ExperimentFile, experiment, next, nextToken, supervised } from 'sailwright/train'

const { nanoModel: model } = tasks
const { adapter, language } = model.parts

const file: ExperimentFile = ({ quick, seed, setting }) => {
  const processor = tasks.nanoProcessor()
  const steps = setting.integer('steps', quick ? 4 : 600, { from: 1 })
  const mixture = { seed: `one/${seed}`, split: 'train', weights: { count: 1 }, levels: [1, 1] } as const
  const start = { config: 'the nano bases', weights: tasks.nanoBases, fresh: adapter }
  const align = supervised({
    ...{ name: 'align', from: 'bases', to: 'aligned', train: [adapter], learningRate: 4e-3 },
    objective: nextToken(model, processor, { rows: 16, tokens: 80 }),
    source: tasks.rendered({ mixture, captions: 1 }),
    steps: Math.ceil(steps / 4),
  })
  const tune = supervised({
    ...{ name: 'several', from: 'aligned', to: 'tuned', train: [adapter, language] },
    // four images a conversation at most
    objective: nextToken(model, processor, { rows: 8, tokens: 160, images: 32 }),
    source: tasks.severalImages(`several/${seed}`),
    ...{ learningRate: 1e-3, steps },
  })
  return experiment(
    pipe(begin({ name: 'several-images', seed, model, start, now: 'bases' }), next(align), next(tune)),
    exactAnswers({
      generator: generator(model, processor, { rows: 16, prompt: 144, capacity: 176, images: 64 }),
      questions: tasks.severalQuestions('held-out'),
      samples: quick ? 4 : 64,
      lastSamples: quick ? 4 : 256,
    }),
  )
}

export default file
