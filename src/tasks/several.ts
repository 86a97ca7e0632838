/**
 * Questions about several images at once: which of them differs, and in which frame of a video something changes. Each image
 * shows one shape; where it stands, how large it is and on which ground says nothing.
 *
 * @since 0.1.0
 */
import {
  type Conversation,
  indexed,
  numbered,
  type Processor,
  type PromptUnit,
  played,
  type Question,
  type Source,
  said,
  unitConversation,
} from '../data/index.ts'
import { type Random, random } from '../random/index.ts'
import type { Rgb } from './canvas.ts'
import type { Image } from './drawn.ts'
import {
  combinations,
  drawGround,
  placeShapes,
  type Shape,
  type ShapeColour,
  type ShapeKind,
  shapesImage,
  toneOf,
} from './families/count.ts'
import { checkedIndex, partitionOf, sideOf } from './mixture.ts'
import { nanoProcessor } from './nano.ts'
import type { Split } from './sample.ts'

/** Which of several images differs; in which frame of a video the shape changes. */
export const severalFamilies = ['differs', 'changes'] as const
/** One of {@link severalFamilies}. */
export type SeveralFamily = (typeof severalFamilies)[number]

/** How a shape looks. */
export interface ShapeLook {
  readonly kind: ShapeKind
  readonly colour: ShapeColour
}

/** Images and what is asked about them, as data. */
export interface SeveralScene {
  readonly family: SeveralFamily
  /** The shape of each image and its ground. */
  readonly images: readonly { readonly shape: Shape; readonly ground: Rgb }[]
  /** The image that differs, or the first frame that shows the other shape; from 1. */
  readonly at: number
}

/** A question about several images, with its answer. */
export interface SeveralSample {
  /** `split/family/seed/index`. */
  readonly id: string
  readonly family: SeveralFamily
  readonly scene: SeveralScene
  readonly images: readonly Image[]
  readonly question: string
  /** What each image shows, and the number after it: `red circle, red circle, blue circle, so 3`. */
  readonly answer: string
  /** The number alone. */
  readonly final: string
}

const words = ({ colour, kind }: ShapeLook): string => `${colour} ${kind}`
/** Fewest and most images of a scene. */
const [fewest, most] = [3, 4]

const questions: Readonly<Record<SeveralFamily, string>> = {
  differs: 'Which one is different?',
  changes: 'In which frame does it change?',
}

const shapeOf = (r: Random, look: ShapeLook): Shape => {
  const [place] = placeShapes(r, [r.int(22, 44)])
  return { ...look, ...place!, rgb: toneOf(look.colour, r) }
}

const sceneOf = (family: SeveralFamily, r: Random): SeveralScene => {
  const n = r.int(fewest, most)
  const one = r.pick(combinations)
  const other = r.pick(combinations.filter((l) => l !== one))
  const at = family === 'differs' ? r.int(1, n) : r.int(2, n)
  const isOther = (i: number): boolean => (family === 'differs' ? i === at : i >= at)
  const ground = drawGround(r)
  const images = Array.from({ length: n }, (_, i) => ({
    shape: shapeOf(r, isOther(i + 1) ? other : one),
    // a video has one ground, images have each their own
    ground: family === 'changes' ? ground : drawGround(r),
  }))
  return { family, images, at }
}

/** What a scene is about, whatever it looks like: held-out and training samples never share a key. */
export const severalKey = ({ family, images }: SeveralScene): string =>
  `several:${family}:${images.map(({ shape }) => words(shape)).join()}`

/** The number that a scene's question asks for, read off its shapes alone. */
export const severalTruth = ({ family, images }: SeveralScene): number => {
  const seen = images.map(({ shape }) => words(shape))
  const found =
    family === 'differs'
      ? seen.findIndex((look) => seen.filter((other) => other === look).length === 1)
      : seen.findIndex((look, i) => i > 0 && look !== seen[i - 1])
  return found + 1
}

const rendered = ({ images }: SeveralScene): readonly Image[] =>
  images.map(({ shape, ground }) => shapesImage(ground, [shape]))

/**
 * The i-th sample of a seed: a function of these alone. Contents of `heldout` occur in no other split.
 *
 * @throws MixtureError where the index is no whole number from 0
 */
export const severalAt = (
  family: SeveralFamily,
  seed: string | number,
  split: Split,
  i: number,
): SeveralSample => {
  checkedIndex(i)
  const side = sideOf(split)
  for (let attempt = 0; ; attempt++) {
    const scene = sceneOf(family, random(seed, 'several', split, family, i, attempt))
    if (partitionOf(severalKey(scene)) !== side) continue
    const final = String(scene.at)
    const steps = scene.images.map(({ shape }) => words(shape)).join(', ')
    return {
      ...{ id: `${split}/${family}/${seed}/${i}`, family, scene, images: rendered(scene) },
      ...{ question: questions[family], answer: `${steps}, so ${final}`, final },
    }
  }
}

/** A sample's images and question in the order in which they are read. */
const unitsOf = ({ family, images, question }: SeveralSample): readonly PromptUnit[] =>
  family === 'changes' ? [played(images), said(question)] : [...numbered(images), said(question)]

/** A sample as a conversation: numbered images or a video, then the question. */
export const severalConversation = (
  sample: SeveralSample,
  processor: Processor = nanoProcessor(),
): Conversation => unitConversation(processor, sample.id, unitsOf(sample), { answer: sample.answer })

/**
 * Conversations about several images, both families by turns, without an end.
 *
 * @category sources
 */
export const severalImages = (seed: string | number, processor?: Processor): Source<Conversation> =>
  indexed({ kind: 'severalImages', seed }, function* (from) {
    for (let i = from; ; i++) {
      const family = severalFamilies[i % severalFamilies.length]!
      yield severalConversation(severalAt(family, seed, 'train', i), processor)
    }
  })

/** The number in a text that a model wrote: what stands behind the last `so`. */
const numberIn = (text: string): string => /(?:^|\s)so (\d+)\s*$/.exec(text)?.[1] ?? ''

/** The held-out questions of each family. No content of theirs occurs in training. */
export const severalQuestions = (
  seed: string | number,
  processor?: Processor,
): Readonly<Record<SeveralFamily, Source<Question>>> => {
  const ofFamily = (family: SeveralFamily): Source<Question> =>
    indexed({ kind: 'severalQuestions', family, seed }, function* (from) {
      for (let i = from; ; i++) {
        const sample = severalAt(family, seed, 'heldout', i)
        yield {
          conversation: severalConversation(sample, processor),
          question: sample.question,
          expected: sample.final,
          answerOf: numberIn,
        }
      }
    })
  return { differs: ofFamily('differs'), changes: ofFamily('changes') }
}
