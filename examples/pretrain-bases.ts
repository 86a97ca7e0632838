/**
 * The nano bases: a vision encoder that knows what each patch of a rendered picture shows, and a language model that can
 * answer about scenes of which it is given the patches' labels, never the pixels. They never meet here.
 *
 *     sailwright run examples/pretrain-bases.ts [--set part=vision|language]
 *     node --import tsx scripts/ship-bases.ts <run>/checkpoints/vision-base <run>/checkpoints/language-recall
 */
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { denseWeights } from 'sailwright/data'
import { heldOut } from 'sailwright/eval'
import { nano } from 'sailwright/models'
import {
  allOf,
  begin,
  type ExperimentFile,
  experiment,
  labelledPictures,
  next,
  patchLabels,
  scenes,
  sceneToken,
} from 'sailwright/train'

const families = ['read', 'count', 'chart', 'arithmetic'] as const
const schedule = { kind: 'cosine', warmup: 0.03, minRatio: 0.02 } as const
const optimizer = { beta2: 0.98, decay: 0.05 }

const file: ExperimentFile = ({ quick, seed, setting }) => {
  const scale = quick ? 1 / 400 : setting.number('scale', 1, { from: 1e-3 })
  const vision = {
    ...{ name: 'vision-base', from: 'fresh', to: 'vision-base', schedule, optimizer },
    train: ['vision', 'probe'],
    objective: patchLabels(0.2),
    source: labelledPictures({ seed: `bases/${seed}`, weights: denseWeights }),
    steps: Math.ceil(6000 * scale),
    batch: 32,
    length: 1,
    learningRate: 2e-3,
  } as const
  // looking a bar up and counting take longer to learn than reading
  const weights = { read: 1, count: 2, chart: 2, arithmetic: 1 }
  const mixture = { seed: `bases/${seed}`, split: 'bases', levels: [1, 3], weights } as const
  const language = {
    ...{ name: 'language-base', from: 'vision-base', to: 'language-base', schedule, optimizer },
    train: ['language', 'probe'],
    objective: sceneToken,
    source: scenes({ mixture, captions: 0.25, texts: 0.05 }),
    steps: Math.ceil(15000 * scale),
    batch: 16,
    length: 80,
    learningRate: 2e-3,
  } as const
  // finding a value by its name is what it still lacks then; charts end in such a look-up
  const recall = {
    ...language,
    ...{ name: 'language-recall', from: 'language-base', to: 'bases' },
    source: scenes({
      mixture: { ...mixture, seed: `recall/${seed}`, weights: { ...weights, chart: 4 } },
      ...{ captions: 0.1, texts: 0.02, recall: 0.4 },
    }),
    steps: Math.ceil(5000 * scale),
    learningRate: 1.5e-3,
  } as const
  const start = begin({
    name: 'pretrain-bases',
    seed,
    model: { name: 'nano', config: nano },
    start: { describe: 'fresh', weights: TE.right(new Map()) },
    now: 'fresh',
  })
  // pictures of which every label is right, and answers of which every token is
  const measured = allOf(
    heldOut({
      ...{ family: 'patches', stage: 'vision-base', objective: patchLabels(0) },
      source: labelledPictures({ seed: 'measure', weights: { text: 0, shapes: 0, bars: 0, tasks: 1 } }),
      sizes: { batch: 32, length: 1, tiles: 32 },
      batches: quick ? 1 : 16,
    }),
    ...families.map((family) =>
      heldOut({
        ...{ family, stage: 'language-recall', objective: sceneToken, whole: true },
        source: scenes({
          mixture: { seed: 'measure', split: 'heldout', levels: [3, 3], weights: { [family]: 1 } },
          ...{ captions: 0, texts: 0 },
        }),
        sizes: { batch: 64, length: 80, tiles: 64 },
        batches: quick ? 1 : 8,
      }),
    ),
  )
  const part = setting.choice('part', ['all', 'vision', 'language'], 'all')
  if (part === 'vision') return experiment(pipe(start, next(vision)), measured)
  if (part === 'language')
    return experiment(pipe({ ...start, now: 'vision-base' as const }, next(language), next(recall)), measured)
  return experiment(pipe(start, next(vision), next(language), next(recall)), measured)
}

export default file
