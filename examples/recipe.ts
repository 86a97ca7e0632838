/**
 * SAIL-VL2's recipe for two cores: a pretrained encoder, a pretrained language model, a fresh adapter between them; three
 * stages of alignment, basic pretraining, SFT (paper §2.1, §3, §4.2). `--set scale=2` trains twice as long.
 */
import { pipe } from 'fp-ts/lib/function.js'
import type { Level } from 'sailwright/data'
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

/** What a stage trains, its share of captions (the others are questions), lowest level, steps and peak rate. */
type Settings = readonly [readonly Part[], captions: number, lowest: Level, steps: number, rate: number]

const file: ExperimentFile = ({ quick, seed, setting }) => {
  const scale = setting.number('scale', quick ? 1 / 16 : 1, { from: 1e-3 })
  const weights = { read: 1.5, count: 2, chart: 1.7, arithmetic: 0.3 }
  const stage = <const From extends string, const To extends string>(
    name: string,
    [from, to]: readonly [From, To],
    [train, captions, lowest, steps, learningRate]: Settings,
  ) => {
    const levels = [lowest, 3] as const
    const mixture = { seed: `${name}/${seed}`, split: 'train', levels, weights } as const
    return next({
      ...{ name, from, to, train, learningRate, batch: 16, length: 80, objective: nextToken },
      steps: Math.ceil(steps * scale),
      source: rendered({ mixture, captions }),
      // questions alone come last and end in small steps; the bases know their trades and move slower than the adapter
      schedule: { kind: 'cosine', warmup: 0.1, minRatio: captions === 0 ? 0.02 : 0.1 },
      optimizer: { beta2: 0.98, decay: 0.05, rate: (key) => (key.startsWith('mlp1.') ? 1 : 0.4) },
    })
  }
  const start = { describe: 'the nano bases', weights: nanoBases }
  const recipe = pipe(
    begin({ name: 'recipe', seed, model: { name: 'nano', config: nano }, start, now: 'bases' }),
    stage('alignment-1', ['bases', 'warm'], [connector, 0.3, 1, 300, 4e-3]),
    stage('alignment-2', ['warm', 'fine'], [seeing, 0.3, 1, 300, 2e-3]),
    stage('alignment-3', ['fine', 'aligned'], [all, 0.1, 2, 900, 2e-3]),
    stage('basic-pretraining', ['aligned', 'grounded'], [connector, 0.15, 2, 60, 5e-4]),
    stage('sft', ['grounded', 'tuned'], [all, 0, 3, 1500, 2e-3]),
  )
  const samples = Math.ceil(64 * Math.min(1, 8 * scale))
  return experiment(recipe, exactAnswers({ seed: 'held-out', samples, lastSamples: 4 * samples }))
}

export default file
