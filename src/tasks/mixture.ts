/**
 * A mixture of families: the i-th sample is a pure function of the mixture and i, so a run that was stopped goes on
 * with the samples that it would have seen, and several workers can render different samples of one run.
 *
 * @since 0.1.0
 */
import { hash32, random } from '../random/index.ts'
import { onlySettings, seedSetting, shownValue } from '../settings/index.ts'
import { arithmetic } from './families/arithmetic.ts'
import { chart } from './families/chart.ts'
import { count } from './families/count.ts'
import type { TaskFamily } from './families/family.ts'
import { read } from './families/read.ts'
import {
  type Described,
  type Family,
  families,
  type Level,
  levels,
  type Sample,
  type Scene,
  type Split,
  splits,
} from './sample.ts'

/** What samples to draw: a seed, a split, the families' weights, and the levels to draw from, each as likely. */
export interface Mixture {
  readonly seed: string | number
  readonly split: Split
  /** Weights of the families, not negative, at least one above 0; a family left out has weight 0. */
  readonly weights: Readonly<Partial<Record<Family, number>>>
  /** The lowest and the highest level. */
  readonly levels: readonly [Level, Level]
}

/** A mixture that cannot be drawn from. */
export class MixtureError extends Error {
  readonly tag = 'BadMixture'
  constructor(message: string) {
    super(message)
    this.name = 'MixtureError'
  }
}

const tasks: { readonly [F in Family]: TaskFamily<Extract<Scene, { family: F }>> } = {
  read,
  count,
  chart,
  arithmetic,
}

/** The functions of a scene's family. */
export const taskOf = <S extends Scene>(scene: S): TaskFamily<S> =>
  tasks[scene.family] as unknown as TaskFamily<S>

/** What a scene is about, whatever it looks like: `read:K7QM`, `arithmetic:38+47`. */
export const contentKey = (scene: Scene): string => `${scene.family}:${taskOf(scene).key(scene)}`

/** Which side a content belongs to: one in sixteen is held out, decided by its hash alone, in every run. */
export const partitionOf = (key: string): 'heldout' | 'training' =>
  hash32(key, 0x5a11) % 16 === 0 ? 'heldout' : 'training'

/** The side whose contents a split has. */
export const sideOf = (split: Split): ReturnType<typeof partitionOf> =>
  split === 'heldout' ? 'heldout' : 'training'

/** @throws MixtureError where it is no whole number from 0 */
export const checkedIndex = (i: number): void => {
  if (!Number.isSafeInteger(i) || i < 0)
    throw new MixtureError(`a sample's index must be a whole number from 0, not ${i}`)
}

/** @throws MixtureError for weights or levels that cannot be, SettingsError for a setting that is none */
export const checkedMixture = (mixture: Mixture): Mixture => {
  onlySettings('mixture', mixture, ['seed', 'split', 'weights', 'levels'])
  onlySettings('mixture', mixture.weights, families, 'weights')
  seedSetting('mixture', mixture.seed)
  if (!splits.includes(mixture.split))
    throw new MixtureError(`the split must be one of ${splits.join(', ')}, not ${shownValue(mixture.split)}`)
  const total = families.reduce((sum, f) => {
    const w = mixture.weights[f] ?? 0
    if (!(w >= 0 && Number.isFinite(w)))
      throw new MixtureError(`the weight of '${f}' must be a number from 0, not ${w}`)
    return sum + w
  }, 0)
  if (total <= 0)
    throw new MixtureError(`at least one family needs a weight above 0 (families: ${families.join(', ')})`)
  const [low, high] = Array.isArray(mixture.levels) ? mixture.levels : []
  if (
    low === undefined ||
    high === undefined ||
    !levels.includes(low) ||
    !levels.includes(high) ||
    low > high
  )
    throw new MixtureError(
      `levels must be a pair [lowest, highest] out of 1 to 4, not ${JSON.stringify(mixture.levels)}`,
    )
  return mixture
}

/**
 * The i-th sample of a mixture, not yet rendered.
 *
 * @throws MixtureError for a bad mixture or index
 */
export const describeAt = (mixture: Mixture, i: number): Described => {
  checkedIndex(i)
  checkedMixture(mixture)
  const { split, weights } = mixture
  const seed = String(mixture.seed)
  const r = random(seed, split, i)
  const family = r.weighted(
    families,
    families.map((f) => weights[f] ?? 0),
  )
  const level = r.int(mixture.levels[0], mixture.levels[1]) as Level
  return describeSample(family, level, split, `${seed}/${i}`)
}

/** One sample by its family, level, split and seed, not yet rendered. Draws until the content is on the split's side. */
export const describeSample = (family: Family, level: Level, split: Split, seed: string): Described => {
  const side = sideOf(split)
  for (let attempt = 0; ; attempt++) {
    const scene: Scene = tasks[family].draw(random(seed, split, family, level, attempt), level)
    if (partitionOf(contentKey(scene)) !== side) continue
    const task = taskOf(scene)
    const id = `${split}/${family}/${level}/${seed}`
    return { id, family, split, level, seed, scene, caption: task.caption(scene), ...task.ask(scene) }
  }
}

/** Renders a described sample and labels its patches. */
export const render = (described: Described): Sample => {
  const task = taskOf(described.scene)
  return { ...described, image: task.image(described.scene), patches: task.patches(described.scene) }
}

/**
 * The i-th sample of a mixture, rendered.
 *
 * @example
 * const mixture: Mixture = { seed: 0, split: 'train', weights: { read: 3, count: 1 }, levels: [1, 3] }
 * const sample = sampleAt(mixture, 7)
 * sample.image.width // 112
 * sample.answer.endsWith(sample.final) // true
 *
 * @throws MixtureError for a bad mixture or index
 */
export const sampleAt = (mixture: Mixture, i: number): Sample => render(describeAt(mixture, i))
