/**
 * Conversations as token ids with a loss mask.
 *
 * @since 0.1.0
 */
import { kindOf, onlySettings } from '../settings/index.ts'
import { nearest } from '../terminal/index.ts'
import type { RgbImage } from './image.ts'
import { type Processor, ProcessorError } from './processor.ts'
import { anyImageIds, keptImages, type SeenImage, seen } from './seen-image.ts'

/** One conversation as tokens. */
export interface Conversation {
  readonly id: string
  /** Token ids. Shape [token]. */
  readonly ids: readonly number[]
  /** Whether a token is learnt: the assistant's text and the token that ends its turn. Shape [token]. */
  readonly lossMask: readonly boolean[]
  /** Tokens before the assistant's text: what a model is given when it is to answer. */
  readonly promptLength: number
  /** What the encoder reads, in the order of its tokens: an image, or its tiles where the processor cuts images. */
  readonly images: readonly RgbImage[]
  /** The images themselves, where `images` are tiles of them. */
  readonly uncut?: readonly RgbImage[]
}

/** The images of a conversation as a person sees them, one each, whether they are cut or not. */
export const wholeImages = ({ images, uncut }: Pick<Conversation, 'images' | 'uncut'>): readonly RgbImage[] =>
  uncut ?? images

/** One turn of a user and the assistant's answer. */
export interface Exchange {
  readonly id: string
  /** What the system's turn before the user's says; default: there is none. */
  readonly system?: string
  readonly request: string
  /** What the assistant thinks before it answers, between the processor's two tokens for it; it is learnt as the answer is. */
  readonly thought?: string
  readonly answer: string
  /** Of any size. */
  readonly images?: readonly RgbImage[]
}

/**
 * The ids up to where the assistant begins to write: the user's turn with the images before the request, and the
 * beginning of the assistant's; before both the system's turn, where there is one. As SAIL-VL2 lays it out, there is no newline
 * after a turn's end.
 *
 * What the request spells stays text: it cannot open a turn or stand for an image.
 *
 * @param images as {@link seen} has them; or how many, where every image takes equally many tokens
 * @throws ProcessorError `OtherModel` where there are images and the processor lays out none, or cuts them and is told but
 *   their number; `BadSize` where that is no whole number
 */
export const promptIds = (
  p: Processor,
  { request, system }: Pick<Exchange, 'request' | 'system'>,
  images: number | readonly SeenImage[],
): readonly number[] => {
  const text = p.tokenizer.encodeText
  if (typeof images === 'number' && !(Number.isSafeInteger(images) && images >= 0))
    throw new ProcessorError(
      'BadSize',
      `promptIds, images: it is ${images}; give how many there are, or the images`,
    )
  const each =
    typeof images === 'number'
      ? Array.from({ length: images }, () => anyImageIds(p))
      : images.map(({ ids }) => ids)
  const shown = each.flatMap((ids, i) => (i === each.length - 1 ? ids : [...ids, ...text('\n')]))
  const asked =
    each.length === 0 ? text(`user\n${request}`) : [...text('user\n'), ...shown, ...text(`\n${request}`)]
  const before = system === undefined ? [] : [p.start, ...text(`system\n${system}`), p.end]
  return [...before, p.start, ...asked, p.end, p.start, ...text('assistant\n')]
}

const names: readonly (keyof Exchange)[] = ['id', 'system', 'request', 'thought', 'answer', 'images']

/** Of what an exchange has, what may mean a name that it has not: that would be left out, and nothing said. */
const misspelt = (e: Exchange): object => {
  const odd = Object.keys(e).filter((name) => {
    const near = (names as readonly string[]).includes(name) ? undefined : nearest(name, names)
    return near !== undefined && e[near as keyof Exchange] === undefined
  })
  return Object.fromEntries(odd.map((name) => [name, true]))
}

/**
 * A conversation of one exchange.
 *
 * @throws SettingsError where it is no record, or has a name by which one of an exchange's that it lacks may be meant; what else
 *   a row has is its own
 * @throws TypeError where the request or the answer is no text
 * @throws ProcessorError `OtherModel` where there are images or a thought and the processor lays out none
 * @category constructors
 */
export const conversation = (p: Processor, e: Exchange): Conversation => {
  onlySettings('conversation', kindOf(e) === 'a record' ? misspelt(e) : e, names)
  for (const key of ['request', 'answer'] as const)
    if (typeof e[key] !== 'string')
      throw new TypeError(`conversation ${String(e.id)}: ${key} is ${String(e[key])}; give a text`)
  const images = seen(
    p,
    (e.images ?? []).map((image) => ({ image })),
  )
  return conversationOf(p, e.id, promptIds(p, e, images), e, keptImages(images))
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
  images: Pick<Conversation, 'images' | 'uncut'> = { images: [] },
): Conversation => {
  const learnt = writtenIds(p, written)
  return {
    id,
    ids: [...prompt, ...learnt],
    lossMask: [...prompt.map(() => false), ...learnt.map(() => true)],
    promptLength: prompt.length,
    ...images,
  }
}
