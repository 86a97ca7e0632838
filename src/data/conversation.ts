/**
 * Conversations as token ids with a loss mask.
 *
 * @since 0.2.0
 */
import type { RgbImage } from './image.ts'
import { type Processor, ProcessorError } from './processor.ts'

/** One conversation as tokens. */
export interface Conversation {
  readonly id: string
  /** Token ids. Shape [token]. */
  readonly ids: readonly number[]
  /** Whether a token is learnt: the assistant's text and the token that ends its turn. Shape [token]. */
  readonly lossMask: readonly boolean[]
  /** Tokens before the assistant's text: what a model is given when it is to answer. */
  readonly promptLength: number
  /** In the order of their tokens. */
  readonly images: readonly RgbImage[]
}

/** One turn of a user and the assistant's answer. */
export interface Exchange {
  readonly id: string
  /** What the system's turn before the user's says; default: there is none. */
  readonly system?: string
  readonly request: string
  /** What the assistant thinks before it answers, between the processor's two tokens for it; it is learnt as the answer is. */
  readonly thought?: string
  readonly answer: string
  readonly images?: readonly RgbImage[]
}

/**
 * The ids up to where the assistant begins to write: the user's turn with so many images before the request, and the
 * beginning of the assistant's; before both the system's turn, where there is one. As SAIL-VL2 lays it out, there is no newline
 * after a turn's end.
 *
 * What the request spells stays text: it cannot open a turn or stand for an image.
 *
 * @throws ProcessorError `OtherModel` where there are images and the processor lays out none
 */
export const promptIds = (
  p: Processor,
  { request, system }: Pick<Exchange, 'request' | 'system'>,
  images: number,
): readonly number[] => {
  const text = p.tokenizer.encodeText
  const { image } = p
  if (images > 0 && image === undefined)
    throw new ProcessorError(
      'OtherModel',
      'the conversation has images, and the processor lays out none; give it image options',
    )
  const one =
    image === undefined
      ? []
      : [image.open, ...Array<number>(image.tokens).fill(image.placeholder), image.close]
  const shown = Array.from({ length: images }, (_, i) =>
    i === images - 1 ? one : [...one, ...text('\n')],
  ).flat()
  const asked =
    images === 0 ? text(`user\n${request}`) : [...text('user\n'), ...shown, ...text(`\n${request}`)]
  const before = system === undefined ? [] : [p.start, ...text(`system\n${system}`), p.end]
  return [...before, p.start, ...asked, p.end, p.start, ...text('assistant\n')]
}

/**
 * A conversation of one exchange.
 *
 * @throws TypeError where the request or the answer is no text
 * @category constructors
 */
export const conversation = (p: Processor, e: Exchange): Conversation => {
  for (const key of ['request', 'answer'] as const)
    if (typeof e[key] !== 'string')
      throw new TypeError(`conversation ${String(e.id)}: ${key} is ${String(e[key])}; give a text`)
  const images = e.images ?? []
  return conversationOf(p, e.id, promptIds(p, e, images.length), e, images)
}

/** What the assistant writes, as ids. @throws ProcessorError `OtherModel` where there is a thought and no tokens for it */
const writtenIds = (p: Processor, { thought, answer }: Pick<Exchange, 'thought' | 'answer'>): number[] => {
  const text = p.tokenizer.encodeText
  if (thought === undefined) return [...text(answer), p.end]
  if (p.thought === undefined)
    throw new ProcessorError(
      'OtherModel',
      'the conversation has a thought, and the processor has no tokens for it; give it thought: {}',
    )
  return [p.thought.open, ...text(thought), p.thought.close, ...text(answer), p.end]
}

/**
 * A conversation from a prompt's ids and what the assistant writes.
 *
 * @throws ProcessorError `OtherModel` where there is a thought and the processor has no tokens for it
 */
export const conversationOf = (
  p: Processor,
  id: string,
  prompt: readonly number[],
  written: Pick<Exchange, 'thought' | 'answer'>,
  images: readonly RgbImage[] = [],
): Conversation => {
  const learnt = writtenIds(p, written)
  return {
    id,
    ids: [...prompt, ...learnt],
    lossMask: [...prompt.map(() => false), ...learnt.map(() => true)],
    promptLength: prompt.length,
    images,
  }
}
