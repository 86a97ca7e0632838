/**
 * SAIL-VL2's recipe at the scale that two cores carry: a pretrained encoder and a pretrained language model, a fresh
 * adapter between them, three stages of alignment, basic pretraining, and supervised fine-tuning (paper §2.1, §3, §4.2).
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

const file: ExperimentFile = ({ quick, seed }) => {
  const common = {
    objective: nextToken,
    batch: 16,
    length: 96,
    optimizer: { beta2: 0.98, decay: 0.05 },
  } as const
  const steps = (full: number) => (quick ? Math.ceil(full / 20) : full)
  const pictures = (name: string, captions: number) =>
    rendered({
      captions,
      mixture: {
        seed: `${name}/${seed}`,
        split: 'train',
        weights: { read: 1.5, count: 1, chart: 1, arithmetic: 1 },
        levels: [1, 3],
      },
    })
  return experiment(
    pipe(
      begin({
        name: 'recipe',
        seed,
        model: { name: 'nano', config: nano },
        start: { describe: 'nano bases', weights: nanoBases },
        now: 'bases',
      }),
      next({
        ...{ name: 'alignment-1', from: 'bases', to: 'adapter-warm', train: ['adapter'], ...common },
        ...{ source: pictures('alignment-1', 1), steps: steps(200), learningRate: 3e-3 },
      } as const),
      next({
        ...{
          name: 'alignment-2',
          from: 'adapter-warm',
          to: 'vision-fine',
          train: ['vision', 'adapter'],
          ...common,
        },
        ...{ source: pictures('alignment-2', 1), steps: steps(200), learningRate: 1e-3 },
      } as const),
      next({
        ...{
          name: 'alignment-3',
          from: 'vision-fine',
          to: 'aligned',
          train: ['vision', 'adapter', 'language'],
          ...common,
        },
        ...{ source: pictures('alignment-3', 0.7), steps: steps(400), learningRate: 1e-3 },
      } as const),
      next({
        ...{ name: 'basic-pretraining', from: 'aligned', to: 'pretrained', train: ['adapter'], ...common },
        ...{ source: pictures('basic-pretraining', 0.7), steps: steps(100), learningRate: 1e-3 },
      } as const),
      next({
        ...{
          name: 'sft',
          from: 'pretrained',
          to: 'tuned',
          train: ['vision', 'adapter', 'language'],
          ...common,
        },
        ...{ source: pictures('sft', 0), steps: steps(600), learningRate: 1e-3 },
      } as const),
    ),
    exactAnswers({
      seed: 'held-out',
      samples: quick ? 32 : 64,
      lastSamples: quick ? 64 : 256,
      prompt: 56,
      room: 96,
    }),
  )
}

export default file
