/**
 * SAIL-VL2's recipe at the scale that two cores carry: a pretrained encoder and a pretrained language model, a fresh
 * adapter between them, three stages of alignment, basic pretraining, supervised fine-tuning (paper §2.1, §3, §4.2).
 */
import { pipe } from 'fp-ts/lib/function.js'
import { exactAnswers } from 'sailwright/eval'
import { nano } from 'sailwright/models'
import type { Part } from 'sailwright/optim'
import {
  begin,
  type ExperimentFile,
  experiment,
  nanoBases,
  next,
  nextToken,
  rendered,
} from 'sailwright/train'

const connector: readonly Part[] = ['adapter']
const seeing: readonly Part[] = ['vision', 'adapter']
const all: readonly Part[] = ['vision', 'adapter', 'language']

/** What a stage trains, its share of captions (the others are questions with answers), its steps and peak rate. */
type Settings = readonly [train: readonly Part[], captions: number, steps: number, rate: number]

const file: ExperimentFile = ({ quick, seed }) => {
  const weights = { read: 1.5, count: 1, chart: 1.5, arithmetic: 0.7 }
  const stage = <const From extends string, const To extends string>(
    name: string,
    [from, to]: readonly [From, To],
    [train, captions, steps, learningRate]: Settings,
  ) => {
    const mixture = { seed: `${name}/${seed}`, split: 'train', levels: [1, 3], weights } as const
    return next({
      ...{ name, from, to, train, learningRate, batch: 16, length: 80, objective: nextToken },
      steps: quick ? Math.ceil(steps / 16) : steps,
      source: rendered({ mixture, captions }),
      // the bases know their trades already: they move slower than the adapter
      optimizer: { beta2: 0.98, decay: 0.05, rate: (key) => (key.startsWith('mlp1.') ? 1 : 0.4) },
    })
  }
  const model = { name: 'nano', config: nano }
  const start = { describe: 'the nano bases', weights: nanoBases }
  const recipe = pipe(
    begin({ name: 'recipe', seed, model, start, now: 'bases' }),
    stage('alignment-1', ['bases', 'warm'], [connector, 0.3, 400, 4e-3]),
    stage('alignment-2', ['warm', 'fine'], [seeing, 0.3, 300, 2e-3]),
    stage('alignment-3', ['fine', 'aligned'], [all, 0.2, 800, 2e-3]),
    stage('basic-pretraining', ['aligned', 'grounded'], [connector, 0.2, 100, 5e-4]),
    stage('sft', ['grounded', 'tuned'], [all, 0, 800, 1.5e-3]),
  )
  return experiment(
    recipe,
    exactAnswers({ seed: 'held-out', samples: quick ? 32 : 64, lastSamples: quick ? 64 : 256 }),
  )
}

export default file
