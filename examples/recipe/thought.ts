/** What the stages that think have in common: problems, the policy that answers them, the loss over what is written. */

import { trainedPolicy } from 'sailwright/rl'
import { type Level, type Mixture, nanoModel, nanoProcessor } from 'sailwright/tasks'
import { packedNextToken } from 'sailwright/train'
import { type About, optimizer } from './answering.ts'

export const processor = nanoProcessor()
export const train = Object.values(nanoModel.parts)

/** The policy is the model itself, with the weights that a stage has at the time. */
export const policy = trainedPolicy(nanoModel, processor, { rows: 64, prompt: 48, capacity: 108 })
export const sampling = { maxNewTokens: 60, temperature: 1 }

/** Images about which there is something to think. */
export const mixtureOf = (name: string, { seed }: About, lowest: Level, highest: Level): Mixture => ({
  ...{ seed: `${name}/${seed}`, split: 'train', levels: [lowest, highest] },
  weights: { count: 1.3, chart: 1, arithmetic: 1 },
})

/** Images as SFT asks about them, so that its answers are not forgotten. */
export const plainly = (name: string, { seed }: About, highest: Level = 3): Mixture => ({
  ...{ seed: `${name}/${seed}`, split: 'train', levels: [2, highest] },
  weights: { read: 1, count: 2, chart: 1.5, arithmetic: 0.7 },
})

/** A number of things, at the run's scale. */
export const times = ({ scale }: About, n: number, least = 1): number =>
  Math.max(least, Math.round(n * scale))

/** The loss of SAIL-VL2's thinking stages: the sum over what a sample is to learn, the mean over samples. */
export const learnt = (tokens: number) => {
  const sizes = { rows: 8, tokens, images: 16 }
  const objective = packedNextToken(nanoModel, processor, sizes, { mean: 'sample' })
  const schedule = { kind: 'cosine', warmup: 0.1, minRatio: 0.05 } as const
  return {
    sizes: { ...sizes, buffer: 64 },
    stage: { train, optimizer, objective, schedule, maxGradientNorm: 20 },
  }
}
