/**
 * Chats as text by SAIL-VL2's own template, a pure function, and the places of images in it.
 *
 * @since 0.1.0
 */
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import { onlySettings } from '../settings/index.ts'
import {
  ChatError,
  type ChatPiece,
  imageMark,
  joinPieces,
  type Message,
  messageFault,
  plainText,
} from './chat-message.ts'

// --- images ---------------------------------------------------------------------------------------------

const marksIn = (text: string): number => text.split(imageMark).length - 1

const whole = (n: number, least: number): boolean => Number.isSafeInteger(n) && n >= least

/** The tokens of one image: `<img>`, `<IMG_CONTEXT>` once for each visual token, `</img>`. */
const placeholder = (tiles: number, tokensPerTile: number): string =>
  `<img>${'<IMG_CONTEXT>'.repeat(tiles * tokensPerTile)}</img>`

/** More visual tokens than any model's context has. */
const mostVisualTokens = 2 ** 20

const checkTiles = (tiles: readonly number[], tokensPerTile: number): ChatError | undefined => {
  if (!whole(tokensPerTile, 1))
    return new ChatError('BadMessages', `tokensPerTile is ${tokensPerTile}`, 'give a whole number from 1 up')
  const bad = tiles.findIndex((n) => !whole(n, 1))
  if (bad >= 0)
    return new ChatError(
      'BadMessages',
      `image ${bad} has ${tiles[bad]} tiles`,
      'give a whole number from 1 up',
    )
  const tokens = tiles.reduce((sum, n) => sum + n, 0) * tokensPerTile
  return tokens <= mostVisualTokens
    ? undefined
    : new ChatError(
        'BadMessages',
        `the images have ${tokens} visual tokens, more than ${mostVisualTokens}`,
        'give fewer tiles',
      )
}

const countError = (marks: number, images: number): ChatError =>
  new ChatError(
    'ImageCount',
    `the number of ${imageMark} marks (${marks}) and of images (${images}) differ`,
    'give as many tile counts as there are marks',
  )

/**
 * Replaces the n-th `<image>` by the placeholder of the n-th image: `<img>`, `<IMG_CONTEXT>` for each of its
 * visual tokens, `</img>`. The model puts the visual tokens in the places of `<IMG_CONTEXT>`, in their order.
 *
 * @param tiles tiles of each image, the thumbnail among them
 * @param tokensPerTile visual tokens of one tile: 256 for 448 × 448 pixels, patch 14 and a 2 × 2 pixel shuffle
 * @category rendering
 */
export const expandImages = (
  text: string,
  tiles: readonly number[],
  tokensPerTile: number,
): E.Either<ChatError, string> => {
  const bad = checkTiles(tiles, tokensPerTile)
  if (bad !== undefined) return E.left(bad)
  const pieces = text.split(imageMark)
  if (pieces.length - 1 !== tiles.length) return E.left(countError(pieces.length - 1, tiles.length))
  return E.right(pieces.map((p, i) => (i === 0 ? p : placeholder(tiles[i - 1]!, tokensPerTile) + p)).join(''))
}

// --- SAIL-VL2's template ----------------------------------------------------------------------------------

/** The system prompt that SAIL-VL2 was trained with. */
export const sailVl2System =
  '你是由抖音内容理解组开发的多模态大模型，英文名叫UniVL, 是一个有用无害的人工智能助手。'

/** How {@link sailVl2Prompt} writes. */
export interface SailVl2Options {
  /** Tiles of each image of the chat, in order. Default none. */
  readonly tiles?: readonly number[]
  /** Visual tokens of one tile. Needed where there are images. */
  readonly tokensPerTile?: number
  /** The system prompt of a chat that does not begin with one: {@link sailVl2System}, another, or none. */
  readonly system?: string
  /** End with the opening of the assistant's turn. Default: where the last turn is the user's. */
  readonly addGenerationPrompt?: boolean
}

const roles = ['system', 'user', 'assistant']

/**
 * A chat in SAIL-VL2's template, in pieces that are to be learned (the answers) and pieces that are not.
 * Neighbouring pieces differ in `learn` or in `special`: the template's own words and the images' placeholders are control,
 * what the messages say is text, so that nothing that a user writes opens a turn ({@link encodeChat}).
 *
 * ChatML without a newline after `<|im_end|>`. The images stand where the text has `<image>`; where it has no
 * mark at all, each one's placeholder and a newline come before the first query. Source: ms-swift's template for
 * SAIL-VL2 (modelscope/ms-swift, `swift/template/templates/seed.py`).
 *
 * The tokens are those of the whole text unless an answer begins with a newline.
 *
 * @category rendering
 */
export const sailVl2Pieces = (
  messages: readonly Message[],
  options: SailVl2Options = {},
): E.Either<ChatError, readonly ChatPiece[]> => {
  onlySettings('sailVl2Pieces', options, ['tiles', 'tokensPerTile', 'system', 'addGenerationPrompt'])
  const { tiles = [], tokensPerTile, system } = options
  const fault = messageFault(messages)
  if (fault !== undefined)
    return E.left(new ChatError('BadMessages', fault, 'give role and content of each message'))
  const [first] = messages
  const last = messages[messages.length - 1]
  const refuse = (what: string, todo: string) => E.left(new ChatError('BadMessages', what, todo))
  if (first === undefined || last === undefined) return refuse('there are no messages', 'give one or more')
  const odd = messages.findIndex((m, i) => !roles.includes(m.role) || (m.role === 'system' && i > 0))
  if (odd >= 0)
    return refuse(
      `message ${odd} has the role ${JSON.stringify(messages[odd]!.role)}`,
      'the roles are user and assistant, and system for the first message',
    )
  if (tiles.length > 0 && tokensPerTile === undefined)
    return refuse('tokensPerTile is not given', 'give the visual tokens of one tile')
  const bad = checkTiles(tiles, tokensPerTile ?? 1)
  if (bad !== undefined) return E.left(bad)

  const texts = messages.map((m) => plainText(m.content))
  const marks = texts.reduce((n, text) => n + marksIn(text), 0)
  const query = messages.findIndex((m) => m.role === 'user')
  if (marks === 0 && tiles.length > 0 && query >= 0)
    texts[query] = `${`${imageMark}\n`.repeat(tiles.length)}${texts[query]}`
  else if (marks !== tiles.length) return E.left(countError(marks, tiles.length))

  const pieces: ChatPiece[] = []
  const control = (text: string, learn = false): void => void pieces.push({ text, learn, special: 'parse' })
  if (system !== undefined && first.role !== 'system') control(`<|im_start|>system\n${system}<|im_end|>`)
  let used = 0
  for (const [i, { role }] of messages.entries()) {
    const learn = role === 'assistant'
    control(`<|im_start|>${role}\n`)
    for (const [n, stretch] of texts[i]!.split(imageMark).entries()) {
      if (n > 0) control(placeholder(tiles[used++]!, tokensPerTile ?? 1), learn)
      // an assistant's thinking is marked by words that some tokenizers have as special tokens
      for (const part of learn ? stretch.split(/(<\/?think>)/) : [stretch])
        pieces.push({ text: part, learn, special: /^<\/?think>$/.test(part) && learn ? 'parse' : 'text' })
    }
    control('<|im_end|>', learn)
  }
  if (options.addGenerationPrompt ?? last.role === 'user') control('<|im_start|>assistant\n')
  return E.right(joinPieces(pieces))
}

/** The words by which the template opens and closes. */
const controlWords = ['<|im_start|>', '<|im_end|>', '<|endoftext|>', '<img>', '</img>', '<IMG_CONTEXT>']

/**
 * A chat in SAIL-VL2's template, as one text. See {@link sailVl2Pieces}, which also takes messages in which the template's
 * own words are written: in one text these could not be told from the template's, so such messages are refused here.
 *
 * @example
 * const chat = sailVl2Prompt([{ role: 'user', content: 'How many?' }], { tiles: [1], tokensPerTile: 2 })
 * chat // E.right('<|im_start|>user\n<img><IMG_CONTEXT><IMG_CONTEXT></img>\nHow many?<|im_end|><|im_start|>assistant\n')
 *
 * @category rendering
 */
export const sailVl2Prompt = (
  messages: readonly Message[],
  options: SailVl2Options = {},
): E.Either<ChatError, string> =>
  pipe(
    sailVl2Pieces(messages, options),
    E.chain((pieces) => {
      const written = pieces
        .filter((p) => p.special === 'text')
        .flatMap((p) => controlWords.filter((w) => p.text.includes(w)))
      return written.length === 0
        ? E.right(pieces.map((p) => p.text).join(''))
        : E.left(
            new ChatError(
              'BadMessages',
              `a message contains ${written[0]}, which in one text would be the template's own`,
              'take sailVl2Pieces, whose pieces say what is text',
            ),
          )
    }),
  )
