/**
 * A prompt as units: texts, images and videos, in the order in which they are read. What stands for an image in the ids and what
 * the encoder reads of it come of one unit, so that they cannot disagree; and a prompt that is too long loses images whole.
 *
 * @since 0.1.0
 */
import { onlySettings } from '../settings/index.ts'
import { type Conversation, conversationOf, type Exchange } from './conversation.ts'
import type { RgbImage } from './image.ts'
import type { GivenImage } from './image-reading.ts'
import { type Processor, ProcessorError } from './processor.ts'
import { keptImages, type SeenImage, seen } from './seen-image.ts'

/** A piece of a prompt. */
export type PromptUnit =
  | { readonly kind: 'text'; readonly text: string }
  /** An image of any size; the processor says in which tiles it is read. */
  | { readonly kind: 'image'; readonly image: RgbImage }
  /** Frames of a video, one tile each. Before the i-th stands `Frame-i: `, behind each a newline, as in SAIL-VL2. */
  | { readonly kind: 'video'; readonly frames: readonly RgbImage[] }

/** A text, which stays one whatever it spells: it cannot open a turn or stand for an image. */
export const said = (text: string): PromptUnit => ({ kind: 'text', text })

/** An image. */
export const shown = (image: RgbImage): PromptUnit => ({ kind: 'image', image })

/** A video as its frames. @throws RangeError where there is none */
export const played = (frames: readonly RgbImage[]): PromptUnit => {
  if (frames.length === 0) throw new RangeError('played: there is no frame; give at least one image')
  return { kind: 'video', frames }
}

/** Several images by number, as SAIL-VL2 shows them: before the i-th stands `Image-i: `, behind each a newline. */
export const numbered = (images: readonly RgbImage[]): readonly PromptUnit[] =>
  images.flatMap((image, i) => [said(`Image-${i + 1}: `), shown(image), said('\n')])

/** What stands before a video's i-th frame, counted from 0. */
export const frameLabel = (i: number): string => `Frame-${i + 1}: `

/** Settings of {@link layOutPrompt}. */
export interface PromptOptions {
  /** What the system's turn before the user's says; default: there is none. */
  readonly system?: string
  /** The most tokens, those around the user's words included; default: as many as it takes. */
  readonly tokens?: number
}

/** A prompt laid out. Made by {@link layOutPrompt} alone, so that `images` are those whose tokens are in `ids`. */
export interface LaidPrompt extends Pick<Conversation, 'images' | 'uncut'> {
  /** Up to where the assistant begins to write. */
  readonly ids: readonly number[]
  /** Units that were left out or cut, because the prompt was too long. */
  readonly lost: number
}

/** What goes into a prompt in one go: a text, or an image with the words that belong to it. */
interface Piece {
  readonly unit: number
  readonly ids: readonly number[]
  /** A piece with one is never cut through. */
  readonly image?: SeenImage
}

const givenImages = (unit: PromptUnit): readonly GivenImage[] => {
  if (unit.kind === 'text') return []
  return unit.kind === 'image'
    ? [{ image: unit.image }]
    : unit.frames.map((image) => ({ image, frame: true }))
}

const piecesOf = (p: Processor, units: readonly PromptUnit[]): readonly Piece[] => {
  const text = p.tokenizer.encodeText
  // all at once, because they may share a budget of tiles
  const images = seen(p, units.flatMap(givenImages))
  let used = 0
  return units.flatMap((unit, n): readonly Piece[] => {
    if (unit.kind === 'text') return [{ unit: n, ids: text(unit.text) }]
    return givenImages(unit).map((_, i) => {
      const image = images[used++]!
      const ids = unit.kind === 'image' ? image.ids : [...text(frameLabel(i)), ...image.ids, ...text('\n')]
      return { unit: n, ids, image }
    })
  })
}

/**
 * The user's turn of these units, and the beginning of the assistant's; before both the system's turn, where there is one.
 *
 * Where it would be longer than `tokens`, the end of the user's words goes: a text is cut at a token, an image or a frame that
 * does not fit is left out whole, and with it all that comes after it.
 *
 * @throws ProcessorError `OtherModel` where there is an image and the processor lays out none; `BadSize` where `tokens` leaves
 *   no room for the user's words
 * @category constructors
 */
export const layOutPrompt = (
  p: Processor,
  units: readonly PromptUnit[],
  options: PromptOptions = {},
): LaidPrompt => {
  const { system, tokens = Number.POSITIVE_INFINITY } = onlySettings('layOutPrompt', options, [
    'system',
    'tokens',
  ])
  const text = p.tokenizer.encodeText
  const before = system === undefined ? [] : [p.start, ...text(`system\n${system}`), p.end]
  const head = [...before, p.start, ...text('user\n')]
  const tail = [p.end, p.start, ...text('assistant\n')]
  let room = tokens - head.length - tail.length
  if (!(room > 0))
    throw new ProcessorError(
      'BadSize',
      `the prompt may have ${tokens} tokens, and ${head.length + tail.length} stand around the user's words; allow more`,
    )
  const ids: number[] = []
  const images: SeenImage[] = []
  let lost = 0
  for (const piece of piecesOf(p, units)) {
    const fits = piece.ids.length <= room
    if (fits || piece.image === undefined) for (const id of piece.ids.slice(0, room)) ids.push(id)
    if (!fits) {
      lost = units.length - piece.unit
      break
    }
    if (piece.image !== undefined) images.push(piece.image)
    room -= piece.ids.length
  }
  return { ids: [...head, ...ids, ...tail], ...keptImages(images), lost }
}

/**
 * A conversation whose request is units of text, images and videos, interleaved as they are given.
 *
 * @throws ProcessorError as {@link layOutPrompt}, and where there is a thought and the processor has no tokens for it
 * @category constructors
 */
export const unitConversation = (
  p: Processor,
  id: string,
  units: readonly PromptUnit[],
  written: Pick<Exchange, 'thought' | 'answer'>,
  options: PromptOptions = {},
): Conversation => {
  onlySettings('unitConversation', options, ['system', 'tokens'])
  const { ids, lost: _, ...images } = layOutPrompt(p, units, options)
  return conversationOf(p, id, ids, written, images)
}
