/**
 * What a learning rate set ten times too low costs, and what AdaLRS wins back (arXiv:2506.13274; SAIL-VL2, eq. 1): the
 * recipe's first alignment, at a tenth of its rate throughout or with the search. Two runs see the same images in the same
 * order, for as many steps, those that a trial loses among them.
 *
 *     sailwright run examples/ada-lrs.ts --out fixed --set search=off
 *     sailwright run examples/ada-lrs.ts --out searched
 */
import { pipe } from 'fp-ts/lib/function.js'
import { adamWith } from 'sailwright/optim'
import { nanoBases, nanoModel, nanoProcessor, rendered } from 'sailwright/tasks'
import {
  begin,
  type ExperimentFile,
  experiment,
  next,
  nextToken,
  supervised,
  unmeasured,
} from 'sailwright/train'

const { adapter } = nanoModel.parts

const file: ExperimentFile = ({ quick, seed, setting }) => {
  const steps = setting.integer('steps', quick ? 32 : 400, { from: 20 })
  const search = setting.choice('search', ['on', 'off'], 'on')
  const weights = { read: 1.5, count: 2, chart: 1.7, arithmetic: 0.3 }
  const mixture = { seed: `alignment/${seed}`, split: 'train', levels: [1, 3], weights } as const
  const alignment = supervised({
    ...{ name: 'alignment', from: 'bases', to: 'warm', train: [adapter], steps },
    objective: nextToken(nanoModel, nanoProcessor(), { rows: quick ? 2 : 16, tokens: 80 }),
    source: rendered({ mixture, captions: 0.3 }),
    optimizer: adamWith({ beta2: 0.98, weightDecay: 0.05 }),
    // the recipe's peak is 4e-3
    learningRate: setting.number('rate', 4e-4, { from: 0 }),
    schedule: { kind: 'wsd', warmup: 0.02, decay: 0.2, minRatio: 0.1 },
    // few steps: short windows, and a search that ends with the plateau
    ...(search === 'on' ? { adaLrs: { search: [0.05, 0.7], window: quick ? 3 : 8, lambda: 0.95 } } : {}),
  })
  const start = { config: 'the nano bases', weights: nanoBases, fresh: adapter }
  return experiment(
    pipe(begin({ name: 'ada-lrs', seed, model: nanoModel, start, now: 'bases' }), next(alignment)),
    unmeasured,
  )
}

export default file
