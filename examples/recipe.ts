/**
 * SAIL-VL2's recipe for two cores: a pretrained encoder, a pretrained language model, a fresh adapter between them; three
 * stages of alignment, basic pretraining, SFT (paper §2.1, §3, §4.2). `--set scale=2` trains twice as long.
 */
import { pipe } from 'fp-ts/lib/function.js'
import { packed } from 'sailwright/data'
import type { Keys } from 'sailwright/dsl'
import { exactAnswers, generator } from 'sailwright/eval'
import { adamWith } from 'sailwright/optim'
import { heldOutQuestions, type Level, nanoBases, nanoModel, nanoProcessor, rendered } from 'sailwright/tasks'
import { begin, type ExperimentFile, experiment, next, packedNextToken, supervised } from 'sailwright/train'

const { vision, adapter, language } = nanoModel.parts

/** What a stage trains, its share of captions (the others are questions), lowest level, steps and peak rate. */
type Settings = readonly [readonly Keys[], captions: number, lowest: Level, steps: number, rate: number]

const file: ExperimentFile = ({ quick, seed, setting }) => {
  const scale = setting.number('scale', quick ? 1 / 16 : 1, { from: 1e-3 })
  const sizes = { rows: 8, tokens: 116, images: 16 } // sixteen samples a step, two or three in a row
  const objective = packedNextToken(nanoModel, nanoProcessor(), sizes)
  const weights = { read: 1.5, count: 2, chart: 1.7, arithmetic: 0.3 }
  // the bases know their trades and move slower than the adapter
  const groups = [{ match: 'mlp1.**' }, { match: '**', learningRateMultiplier: 0.4 }]
  const stage = <const From extends string, const To extends string>(
    name: string,
    [from, to]: readonly [From, To],
    [train, captions, lowest, steps, learningRate]: Settings,
  ) => {
    const mixture = { seed: `${name}/${seed}`, split: 'train', levels: [lowest, 3], weights } as const
    return next(
      supervised({
        ...{ name, from, to, train, learningRate, objective, steps: Math.ceil(steps * scale) },
        source: packed(rendered({ mixture, captions }), { ...sizes, buffer: 64 }),
        // questions alone come last and end in small steps
        schedule: { kind: 'cosine', warmup: 0.1, minRatio: captions === 0 ? 0.02 : 0.1 },
        optimizer: adamWith({ beta2: 0.98, weightDecay: 0.05, groups }),
      }),
    )
  }
  const start = { config: 'the nano bases', weights: nanoBases, fresh: adapter }
  const recipe = pipe(
    begin({ name: 'recipe', seed, model: nanoModel, start, now: 'bases' }),
    stage('alignment-1', ['bases', 'warm'], [[adapter], 0.3, 1, 300, 4e-3]),
    stage('alignment-2', ['warm', 'fine'], [[vision, adapter], 0.3, 1, 300, 2e-3]),
    stage('alignment-3', ['fine', 'aligned'], [[vision, adapter, language], 0.1, 2, 900, 2e-3]),
    stage('basic-pretraining', ['aligned', 'grounded'], [[adapter], 0.15, 2, 60, 5e-4]),
    stage('sft', ['grounded', 'tuned'], [[vision, adapter, language], 0, 3, 1500, 2e-3]),
  )
  const samples = Math.ceil(64 * Math.min(1, 8 * scale))
  const answers = generator(nanoModel, nanoProcessor(), { rows: 64, prompt: 48, capacity: 80 })
  const questions = heldOutQuestions({ seed: 'held-out' })
  return experiment(
    recipe,
    exactAnswers({ generator: answers, questions, samples, lastSamples: 4 * samples }),
  )
}

export default file
