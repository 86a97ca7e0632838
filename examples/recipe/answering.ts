/**
 * The recipe's first half: stages that learn to describe images and to answer questions about them, and how a soup of three
 * of them is made.
 */
import { packed } from 'sailwright/data'
import type { Keys } from 'sailwright/dsl'
import { adamWith } from 'sailwright/optim'
import { type Level, nanoModel, nanoProcessor, rendered } from 'sailwright/tasks'
import { modelSoup, packedNextToken, supervised } from 'sailwright/train'

/** What all stages are made with: the run's seed, and a factor on their lengths. */
export interface About {
  readonly seed: number
  readonly scale: number
}

/** What a stage trains, its share of captions (the others are questions), lowest level, steps and peak rate. */
type Settings = readonly [readonly Keys[], captions: number, lowest: Level, steps: number, rate: number]

const { vision, adapter, language } = nanoModel.parts
const sizes = { rows: 8, tokens: 116, images: 16 } // sixteen samples a step, two or three in a row
const weights = { read: 1.5, count: 2, chart: 1.7, arithmetic: 0.3 }

/** The bases know their trades and move slower than the adapter. */
export const optimizer = adamWith({
  ...{ beta2: 0.98, weightDecay: 0.05 },
  groups: [{ match: 'mlp1.**' }, { match: '**', learningRateMultiplier: 0.4 }],
})

export const answering = ({ seed, scale }: About) => {
  const stage = <const From extends string, const To extends string>(
    name: string,
    [from, to]: readonly [From, To],
    [train, captions, lowest, steps, learningRate]: Settings,
  ) => {
    const mixture = { seed: `${name}/${seed}`, split: 'train', levels: [lowest, 3], weights } as const
    return supervised({
      ...{ name, from, to, train, learningRate, optimizer, steps: Math.max(2, Math.ceil(steps * scale)) },
      objective: packedNextToken(nanoModel, nanoProcessor(), sizes),
      source: packed(rendered({ mixture, captions }), { ...sizes, buffer: 64 }),
      // questions alone come last and end in small steps
      schedule: { kind: 'cosine', warmup: 0.1, minRatio: captions === 0 ? 0.02 : 0.1 },
    })
  }
  /** Twice the end of SFT from the same weights, on other questions in another order, averaged; and one run of captions. */
  const soup = <const From extends string, const To extends string>(
    name: string,
    [from, to]: readonly [From, To],
  ) => {
    const run = (of: string, captions: number, steps: number, rate: number) =>
      stage(`${name}-${of}`, [from, of], [[vision, adapter, language], captions, 3, steps, rate])
    const contrast = run('captions', 1, 30, 2e-3)
    return modelSoup({ name, from, to, runs: [run('a', 0, 80, 6e-4), run('b', 0, 80, 6e-4)], contrast })
  }
  return { stage, soup }
}
