/**
 * Text without pictures, with which the nano language model is pretrained before it ever sees a visual token: scenes
 * in words, laid out where the picture's 16 visual tokens would stand, with the captions, questions and answers of the
 * picture families; and written arithmetic alone.
 *
 * @since 0.1.0
 */
import { steps } from './families/arithmetic.ts'
import { describeSample, partitionOf, taskOf } from './mixture.ts'
import { tokenGrid } from './patches.ts'
import { random } from './random.ts'
import { families, type Level, type Scene } from './sample.ts'

/** A text to continue and its continuation. */
export interface TextExample {
  readonly prompt: string
  readonly answer: string
}

/** The request for a caption. */
export const captionRequest = 'Describe the picture.'

/** A scene in words: four rows of four places, a dot where a place is empty. */
export const gridOf = (scene: Scene): string => {
  const slots = taskOf(scene).slots(scene)
  return Array.from({ length: tokenGrid }, (_, row) =>
    slots
      .slice(row * tokenGrid, (row + 1) * tokenGrid)
      .map((s) => ` ${s === '' ? '.' : s}`)
      .join(''),
  ).join('\n')
}

const alone = (r: ReturnType<typeof random>): { a: number; b: number; sign: '+' | '-' } => {
  for (;;) {
    const [x, y] = [r.int(10, 99), r.int(10, 99)]
    const [a, sign, b] = r.chance(0.5)
      ? ([x, '+', y] as const)
      : ([Math.max(x, y), '-', Math.min(x, y)] as const)
    const key = `arithmetic:${sign === '+' ? `${Math.min(a, b)}+${Math.max(a, b)}` : `${a}-${b}`}`
    if (partitionOf(key) === 'training') return { a, b, sign }
  }
}

/**
 * The i-th text of a seed. Only contents of the training side occur. A third asks for a caption of a scene in words, a
 * third asks a family's question about one, a third is written arithmetic alone.
 */
export const textAt = (seed: string | number, i: number): TextExample => {
  const r = random(seed, 'text', i)
  const kind = r.int(0, 2)
  if (kind === 2) {
    const { a, b, sign } = alone(r)
    return { prompt: `${a}${sign}${b}`, answer: steps(a, sign, b).text }
  }
  const d = describeSample(r.pick(families), r.int(1, 3) as Level, 'bases', `text/${seed}/${i}`)
  const request = kind === 0 ? captionRequest : d.question
  return { prompt: `<img>${gridOf(d.scene)}</img>\n${request}`, answer: kind === 0 ? d.caption : d.answer }
}
