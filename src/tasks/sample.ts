/**
 * A sample: one rendered image with everything that is true of it.
 *
 * @since 0.1.0
 */
import type { Image, Level, PatchLabels } from './drawn.ts'
import type { ArithmeticScene } from './families/arithmetic.ts'
import type { ChartScene } from './families/chart.ts'
import type { CountScene } from './families/count.ts'
import type { TaskQuestion } from './families/family.ts'
import type { ReadScene } from './families/read.ts'

export { type Image, type Level, levels, type PatchLabels } from './drawn.ts'

/** The families of task: reading a string, counting shapes, reading a bar chart, written arithmetic. */
export const families = ['read', 'count', 'chart', 'arithmetic'] as const
/** One of {@link families}. */
export type Family = (typeof families)[number]

/**
 * Where a sample may be used. `bases` pretrains the vision encoder and the language model, `train` is the recipe's own
 * data, `heldout` is only ever measured. No content of `heldout` (see `partitionOf`) occurs in the other two.
 */
export const splits = ['bases', 'train', 'heldout'] as const
/** One of {@link splits}. */
export type Split = (typeof splits)[number]

/** What is in an image, as data: enough to render it again and to answer every question about it. */
export type Scene = ReadScene | CountScene | ChartScene | ArithmeticScene

/** A sample before it is rendered: what it shows, what is asked about it, what is to be answered. */
export interface Described<S extends Scene = Scene> extends TaskQuestion {
  /** `split/family/seed/index`. */
  readonly id: string
  readonly family: Family
  readonly split: Split
  readonly level: Level
  /** The seed from which this sample alone can be made again. */
  readonly seed: string
  readonly scene: S
  /** One short sentence that describes the whole image. */
  readonly caption: string
}

/** A sample with its image and the labels of the image's patches. */
export interface Sample<S extends Scene = Scene> extends Described<S> {
  readonly image: Image
  readonly patches: PatchLabels
}

/**
 * The final answer in a text that a model wrote: the content of the last `\boxed{…}` where there is one; else, but for
 * the read family, the word after the last "so"; else the whole text where it is one word. Anything after `<|im_end|>` and
 * before `</think>` is left out, and so are outer spaces and a full stop at the end.
 */
export const finalOf = (family: Family, text: string): string => {
  const spoken = text.split('<|im_end|>')[0]!.split('</think>').at(-1)!
  const boxed = [...spoken.matchAll(/\\boxed\{([^{}]*)\}/g)].at(-1)?.[1]
  const plain = (boxed ?? spoken).trim().replace(/\.$/, '')
  if (boxed !== undefined || family === 'read' || /^\S*$/.test(plain)) return plain
  return /(?:^|\s)so (\S+)$/.exec(plain)?.[1] ?? ''
}

/** Whether a written text gives the sample's final answer exactly. */
export const isExact = (sample: Pick<Described, 'family' | 'final'>, text: string): boolean =>
  finalOf(sample.family, text) === sample.final
