/**
 * What a learning rate set ten times too low costs, and what AdaLRS wins back (arXiv:2506.13274; SAIL-VL2, eq. 1): basic
 * pretraining as in SAIL-VL2's table 3, the adapter alone between two pretrained models, on captions of drawn charts, at a
 * tenth of its rate throughout or with the search. Two runs see the same pictures in the same order, for as many steps,
 * those that a trial loses among them.
 *
 *     sailwright run examples/ada-lrs.ts --out fixed --set search=off
 *     sailwright run examples/ada-lrs.ts --out searched
 *     sailwright report fixed searched
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
  const steps = setting.integer('steps', quick ? 40 : 800, { from: 20 })
  const search = setting.choice('search', ['on', 'off'], 'on')
  const drawn = { split: 'train', levels: [1, 1], weights: { chart: 1 } } as const
  const mixture = { seed: `basic-pretraining/${seed}`, ...drawn }
  // trials begin where the loss no longer falls by itself from window to window, and end with the plateau; e is given,
  // because with four pictures a step the slopes' standard errors would hide what a trial changes
  const window = quick ? 3 : 40
  const adaLrs = { search: [0.2, 0.75], window, lambda: 0.95, error: 5e-4 } as const
  const stage = supervised({
    ...{ name: 'basic-pretraining', from: 'bases', to: 'grounded', train: [adapter], steps },
    objective: nextToken(nanoModel, nanoProcessor(), { rows: quick ? 2 : 4, tokens: 80 }),
    source: rendered({ mixture, captions: 1 }),
    optimizer: adamWith({ beta2: 0.98, weightDecay: 0.05 }),
    // ten times as much trains well: 4e-3, as in the recipe's alignment of the adapter
    learningRate: setting.number('rate', 4e-4, { from: 0 }),
    schedule: { kind: 'wsd', warmup: 0.02, decay: 0.2, minRatio: 0.1 },
    ...(search === 'on' ? { adaLrs } : {}),
  })
  const start = { config: 'the nano bases', weights: nanoBases, fresh: adapter }
  return experiment(
    pipe(begin({ name: 'ada-lrs', seed, model: nanoModel, start, now: 'bases' }), next(stage)),
    unmeasured,
  )
}

export default file
