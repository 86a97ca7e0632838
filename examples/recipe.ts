/**
 * SAIL-VL2's recipe at the scale that two cores carry: a pretrained encoder and a pretrained language model, a fresh
 * adapter between them, three stages of alignment, basic pretraining, supervised fine-tuning (paper §2.1, §3, §4.2).
 */
import { pipe } from 'fp-ts/lib/function.js'
import { exactAnswers } from 'sailwright/eval'
import { nano } from 'sailwright/models'
import {
  begin,
  type ExperimentFile,
  experiment,
  nanoBases,
  next,
  nextToken,
  rendered,
} from 'sailwright/train'

const adapter = ['adapter'] as const
const seeing = ['vision', 'adapter'] as const
const all = ['vision', 'adapter', 'language'] as const
const weights = { read: 1.5, count: 1, chart: 1, arithmetic: 1 }

const file: ExperimentFile = ({ quick, seed }) => {
  /** A stage on rendered pictures: a share of captions, the others question and answer. */
  const stage = <const From extends string, const To extends string>(
    name: string,
    from: From,
    to: To,
    s: { train: typeof adapter | typeof seeing | typeof all; captions: number; steps: number; rate: number },
  ) => {
    const mixture = { seed: `${name}/${seed}`, split: 'train', levels: [1, 3], weights } as const
    return next({
      name,
      from,
      to,
      train: s.train,
      objective: nextToken,
      source: rendered({ mixture, captions: s.captions }),
      steps: quick ? Math.ceil(s.steps / 16) : s.steps,
      batch: 16,
      length: 80,
      learningRate: s.rate,
      optimizer: { beta2: 0.98, decay: 0.05 },
    })
  }
  const model = { name: 'nano', config: nano }
  const start = { describe: 'the nano bases', weights: nanoBases }
  const measured = exactAnswers({
    seed: 'held-out',
    samples: quick ? 32 : 64,
    lastSamples: quick ? 64 : 256,
    prompt: 48,
    room: 80,
  })
  const recipe = pipe(
    begin({ name: 'recipe', seed, model, start, now: 'bases' }),
    stage('alignment-1', 'bases', 'warm', { train: adapter, captions: 1, steps: 200, rate: 3e-3 }),
    stage('alignment-2', 'warm', 'fine', { train: seeing, captions: 1, steps: 200, rate: 1e-3 }),
    stage('alignment-3', 'fine', 'aligned', { train: all, captions: 0.7, steps: 400, rate: 1e-3 }),
    stage('basic-pretraining', 'aligned', 'grounded', {
      train: adapter,
      captions: 0.7,
      steps: 100,
      rate: 1e-3,
    }),
    stage('sft', 'grounded', 'tuned', { train: all, captions: 0, steps: 600, rate: 1e-3 }),
  )
  return experiment(recipe, measured)
}

export default file
