/**
 * A prompt as units: texts and pictures, in the order in which they are read. What stands for a picture in the ids and the
 * picture itself come of one unit, so that their numbers cannot differ; and a prompt that is too long loses pictures whole.
 *
 * @since 0.3.0
 */
import { type Conversation, conversationOf, type Exchange } from './conversation.ts'
import type { RgbImage } from './image.ts'
import { type Processor, ProcessorError } from './processor.ts'

/** A piece of a prompt. */
export type PromptUnit =
  | { readonly kind: 'text'; readonly text: string }
  /** `tiles` are of the model's image size, in the order of their tokens: one, or those of `dynamicTiles`. */
  | { readonly kind: 'picture'; readonly tiles: readonly RgbImage[] }

/** A text, which stays one whatever it spells: it cannot open a turn or stand for a picture. */
export const said = (text: string): PromptUnit => ({ kind: 'text', text })

/** A picture of one tile or of several. @throws RangeError where there is none */
export const shown = (...tiles: readonly RgbImage[]): PromptUnit => {
  if (tiles.length === 0) throw new RangeError('shown: there is no tile; give at least one image')
  return { kind: 'picture', tiles }
}

/** Settings of {@link layOutPrompt}. */
export interface PromptOptions {
  /** What the system's turn before the user's says; default: there is none. */
  readonly system?: string
  /** The most tokens, those around the user's words included; default: as many as it takes. */
  readonly tokens?: number
}

/** A prompt laid out. Made by {@link layOutPrompt} alone, so that `images` are those whose tokens are in `ids`. */
export interface LaidPrompt {
  /** Up to where the assistant begins to write. */
  readonly ids: readonly number[]
  /** In the order of their tokens. */
  readonly images: readonly RgbImage[]
  /** Units that were left out or cut, because the prompt was too long. */
  readonly lost: number
}

/** A unit as ids and images. */
const laid = (p: Processor, unit: PromptUnit): Pick<LaidPrompt, 'ids' | 'images'> => {
  if (unit.kind === 'text') return { ids: p.tokenizer.encodeText(unit.text), images: [] }
  const { image } = p
  if (image === undefined)
    throw new ProcessorError(
      'OtherModel',
      'the prompt has a picture, and the processor lays out none; give it image options',
    )
  const odd = unit.tiles.find((t) => t.width !== image.size || t.height !== image.size)
  if (odd !== undefined)
    throw new ProcessorError(
      'BadSize',
      `the prompt has a tile of ${odd.width} × ${odd.height} pixels, and the model reads ${image.size} × ${image.size}; resize it, or cut it with dynamicTiles`,
    )
  const places = Array<number>(unit.tiles.length * image.tokens).fill(image.placeholder)
  return { ids: [image.open, ...places, image.close], images: unit.tiles }
}

/**
 * The user's turn of these units, and the beginning of the assistant's; before both the system's turn, where there is one.
 *
 * Where it would be longer than `tokens`, the end of the user's words goes: a text is cut at a token, a picture that does not
 * fit is left out whole, and with it all that comes after it.
 *
 * @throws ProcessorError `OtherModel` where there is a picture and the processor lays out none; `BadSize` where a tile has
 *   another size than the model reads, or `tokens` leaves no room for the user's words
 * @category constructors
 */
export const layOutPrompt = (
  p: Processor,
  units: readonly PromptUnit[],
  { system, tokens = Number.POSITIVE_INFINITY }: PromptOptions = {},
): LaidPrompt => {
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
  const images: RgbImage[] = []
  let kept = 0
  for (const unit of units) {
    const piece = laid(p, unit)
    const fits = piece.ids.length <= room
    if (!fits && unit.kind === 'picture') break
    ids.push(...piece.ids.slice(0, fits ? piece.ids.length : room))
    images.push(...piece.images)
    if (!fits) break
    room -= piece.ids.length
    kept++
  }
  return { ids: [...head, ...ids, ...tail], images, lost: units.length - kept }
}

/**
 * A conversation whose request is units of text and pictures, interleaved as they are given.
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
  const { ids, images } = layOutPrompt(p, units, options)
  return conversationOf(p, id, ids, written, images)
}
