/**
 * The nano bases: a vision encoder that knows what each patch of a rendered image shows, and a language model that can
 * answer about scenes of which it is given the patches' labels, never the pixels. They never meet here.
 *
 *     sailwright run examples/pretrain-bases.ts [--set part=vision|language]
 *     node --import tsx scripts/ship-bases.ts <run>/checkpoints/vision-base <run>/checkpoints/language-recall
 */
import { pipe } from 'fp-ts/lib/function.js'
import { heldOut } from 'sailwright/eval'
import { nano } from 'sailwright/models'
import { adamWith } from 'sailwright/optim'
import {
  denseWeights,
  labelledImages,
  nanoModel,
  nanoProcessor,
  patchLabels,
  probe,
  scenes,
  sceneToken,
} from 'sailwright/tasks'
import {
  allOf,
  begin,
  type ExperimentFile,
  experiment,
  fromScratch,
  next,
  supervised,
} from 'sailwright/train'

const families = ['read', 'count', 'chart', 'arithmetic'] as const
const schedule = { kind: 'cosine', warmup: 0.03, minRatio: 0.02 } as const
const optimizer = adamWith({ beta2: 0.98, weightDecay: 0.05 })
const { vision: encoder, language: text } = nanoModel.parts
const model = { name: 'nano', config: nano }

const file: ExperimentFile = ({ quick, seed, setting }) => {
  const scale = quick ? 1 / 400 : setting.number('scale', 1, { from: 1e-3 })
  const part = setting.choice('part', ['all', 'vision', 'language'], 'all')
  const answers = (rows: number) => sceneToken(model, nanoProcessor(), { rows, tokens: 80 })
  const vision = supervised({
    ...{ name: 'vision-base', from: 'fresh', to: 'vision-base', schedule, optimizer },
    train: [encoder, probe],
    objective: patchLabels(model, { background: 0.2, images: 32 }),
    source: labelledImages({ seed: `bases/${seed}`, weights: denseWeights }),
    steps: Math.ceil(6000 * scale),
    learningRate: 2e-3,
  })
  // looking a bar up and counting take longer to learn than reading
  const weights = { read: 1, count: 2, chart: 2, arithmetic: 1 }
  const mixture = { seed: `bases/${seed}`, split: 'bases', levels: [1, 3], weights } as const
  const language = { schedule, optimizer, train: [text, probe], objective: answers(16) }
  const base = supervised({
    ...{ ...language, name: 'language-base', from: 'vision-base', to: 'language-base' },
    source: scenes({ mixture, captions: 0.25, texts: 0.05 }),
    steps: Math.ceil(15000 * scale),
    learningRate: 2e-3,
  })
  // finding a value by its name is what it still lacks then; charts end in such a look-up
  const recall = supervised({
    ...{ ...language, name: 'language-recall', from: 'language-base', to: 'bases' },
    source: scenes({
      mixture: { ...mixture, seed: `recall/${seed}`, weights: { ...weights, chart: 4 } },
      ...{ captions: 0.1, texts: 0.02, recall: 0.4 },
    }),
    steps: Math.ceil(5000 * scale),
    learningRate: 1.5e-3,
  })
  // images of which every label is right, and answers of which every token is
  const seen = heldOut({
    ...{ family: 'patches', stage: 'vision-base', batches: quick ? 1 : 16 },
    objective: patchLabels(model, { background: 0, images: 32 }),
    source: labelledImages({ seed: 'measure', weights: { text: 0, shapes: 0, bars: 0, tasks: 1 } }),
  })
  const answered = families.map((family) =>
    heldOut({
      ...{ family, stage: 'language-recall', batches: quick ? 1 : 8, objective: answers(64) },
      metric: 'exactMatch',
      source: scenes({
        mixture: { seed: 'measure', split: 'heldout', levels: [3, 3], weights: { [family]: 1 } },
        ...{ captions: 0, texts: 0 },
      }),
    }),
  )
  const start = begin({
    ...{ name: 'pretrain-bases', seed, model: nanoModel, start: fromScratch, now: 'fresh' as const },
  })
  if (part === 'vision') return experiment(pipe(start, next(vision)), seen)
  const half = { ...start, now: 'vision-base' as const }
  if (part === 'language') return experiment(pipe(half, next(base), next(recall)), allOf(...answered))
  return experiment(pipe(start, next(vision), next(base), next(recall)), allOf(seen, ...answered))
}

export default file
