/**
 * Text without images: written arithmetic, as the arithmetic family answers it, and values to be looked up by name, as
 * the chart family does.
 *
 * @since 0.1.0
 */
import { random } from '../random/index.ts'
import { keyOf, steps } from './families/arithmetic.ts'
import { barsKey } from './families/chart.ts'
import { partitionOf } from './mixture.ts'
import { barLetters } from './patches.ts'

/** A text to continue and its continuation. */
export interface TextExample {
  readonly prompt: string
  readonly answer: string
}

/** The request for a caption. */
export const captionRequest = 'Describe the picture.'

/**
 * Asks for a thought and a box: SAIL-VL2's request in words that the nano tokenizer knows. It is the system's turn and not the
 * question's end, so that image, question and steps keep the distances that the nano model has learnt to copy over; for the
 * same reason a question that is to be thought about ends without its mark, whose place `<think>` takes.
 */
export const thoughtRequest = 'think step and answer boxed'

/** Asks for the result alone, in a system's turn of its own for the same reason: what is asked plainly is answered by its steps. */
export const directRequest = 'answer in one word'

const alone = (r: ReturnType<typeof random>): { a: number; b: number; sign: '+' | '-' } => {
  for (;;) {
    const [x, y] = [r.int(10, 99), r.int(10, 99)]
    const [a, sign, b] = r.chance(0.5)
      ? ([x, '+', y] as const)
      : ([Math.max(x, y), '-', Math.min(x, y)] as const)
    if (partitionOf(`arithmetic:${keyOf(a, sign, b)}`) === 'training') return { a, b, sign }
  }
}

/** The i-th text of a seed: a sum or a difference and its written steps. Only contents of the training side occur. */
export const textAt = (seed: string | number, i: number): TextExample => {
  const { a, b, sign } = alone(random(seed, 'text', i))
  return { prompt: `${a}${sign}${b}`, answer: steps(a, sign, b).text }
}

/**
 * The i-th exercise in recall of a seed: names with values, `F=7 B=18 A=2`, to be repeated in another order. A model of
 * this size learns to find a value by its name from many such look-ups, not from the one at the end of a chart's answer.
 * No bars of a held-out chart occur.
 */
export const recallAt = (seed: string | number, i: number): TextExample => {
  const r = random(seed, 'recall', i)
  for (;;) {
    const letters = r.shuffle([...barLetters]).slice(0, r.int(3, 6))
    const pairs = letters.map((letter) => ({ letter, value: r.int(0, 20) }))
    if (partitionOf(`chart:${barsKey(pairs)}`) !== 'training') continue
    const said = (of: typeof pairs): string => of.map(({ letter, value }) => `${letter}=${value}`).join(' ')
    return { prompt: said(pairs), answer: said(r.shuffle(pairs)) }
  }
}
