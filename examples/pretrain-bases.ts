/**
 * The nano bases: a vision encoder that knows what each patch of a rendered picture shows, and a language model that
 * knows the wording of captions, questions and written arithmetic, from text alone. They never meet here.
 *
 *     sailwright run examples/pretrain-bases.ts [--set part=vision|language]
 *     node --import tsx scripts/ship-bases.ts <run folder>
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
  texts,
  textToken,
} from 'sailwright/train'

const file: ExperimentFile = ({ quick, seed, settings }) => {
  const scale = quick ? 1 / 400 : Number(settings.scale ?? 1)
  const cover = patchLabels(0.2)
  const vision = {
    name: 'vision-base',
    from: 'fresh',
    to: 'vision-base',
    train: ['vision', 'probe'],
    objective: cover,
    source: labelledPictures({ seed: `bases/${seed}`, weights: denseWeights }),
    steps: Math.ceil(6000 * scale),
    batch: 32,
    length: 1,
    learningRate: 2e-3,
    schedule: { kind: 'cosine', warmup: 0.03, minRatio: 0.02 },
    optimizer: { beta2: 0.98, decay: 0.05 },
  } as const
  const language = {
    name: 'language-base',
    from: 'vision-base',
    to: 'bases',
    train: ['language'],
    objective: textToken,
    source: texts(`bases/${seed}`),
    steps: Math.ceil(1200 * scale),
    batch: 32,
    length: 104,
    learningRate: 3e-3,
    schedule: { kind: 'cosine', warmup: 0.03, minRatio: 0.02 },
    optimizer: { beta2: 0.98, decay: 0.05 },
  } as const
  const start = begin({
    name: 'pretrain-bases',
    seed,
    model: { name: 'nano', config: nano },
    start: { describe: 'fresh', weights: TE.right(new Map()) },
    now: 'fresh',
  })
  const measured = allOf(
    heldOut({
      family: 'patches',
      stage: 'vision-base',
      objective: patchLabels(0),
      source: labelledPictures({ seed: 'measure', weights: { text: 0, shapes: 0, bars: 0, tasks: 1 } }),
      sizes: { batch: 32, length: 1, tiles: 32 },
      batches: quick ? 1 : 16,
    }),
    heldOut({
      family: 'text',
      stage: 'language-base',
      objective: textToken,
      source: texts('measure'),
      sizes: { batch: 32, length: 104, tiles: 1 },
      batches: quick ? 1 : 16,
    }),
  )
  if (settings.part === 'vision') return experiment(pipe(start, next(vision)), measured)
  if (settings.part === 'language')
    return experiment(pipe({ ...start, now: 'vision-base' as const }, next(language)), measured)
  return experiment(pipe(start, next(vision), next(language)), measured)
}

export default file
