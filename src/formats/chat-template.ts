/**
 * Chats as text: Jinja chat templates as published with models, and SAIL-VL2's own template as a pure function.
 *
 * @since 0.1.0
 */
import { Template } from '@huggingface/jinja'
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'

/**
 * One turn of a chat. Content is a text, in which `<image>` stands for a picture, or parts. A picture part is
 * the same as the text `<image>` and a newline.
 *
 * @category model
 */
export interface Message {
  readonly role: 'system' | 'user' | 'assistant' | (string & {})
  readonly content: string | readonly MessagePart[]
}

/** A part of a message's content. */
export type MessagePart = { readonly type: 'text'; readonly text: string } | { readonly type: 'image' }

/**
 * What is wrong with a template or a chat.
 *
 * - `BadTemplate`: the Jinja text cannot be parsed, or it failed, or it refused the messages.
 * - `BadMessages`: the messages are not a chat that the template can write.
 * - `PictureCount`: the number of `<image>` marks and of pictures differ.
 *
 * @category model
 */
export class ChatError extends Error {
  readonly tag: 'BadTemplate' | 'BadMessages' | 'PictureCount'
  constructor(tag: ChatError['tag'], what: string, todo: string, cause?: unknown) {
    super(`chat: ${what}; ${todo}`, cause === undefined ? undefined : { cause })
    this.name = 'ChatError'
    this.tag = tag
  }
}

// --- Jinja templates --------------------------------------------------------------------------------------

/** How {@link renderChat} renders. Further variables of the template go into `variables`. */
export interface RenderOptions {
  /** End with the opening of the assistant's turn. Default false. */
  readonly addGenerationPrompt?: boolean
  /** End within the last message, so that a model goes on with it. Default false. */
  readonly continueFinalMessage?: boolean
  /** Descriptions of functions that the model may call. */
  readonly tools?: readonly unknown[]
  /** Other variables of the template, such as `enable_thinking`, `bos_token`. */
  readonly variables?: Readonly<Record<string, unknown>>
}

/** A rendered chat. */
export interface RenderedChat {
  readonly text: string
  /**
   * What the assistant says, as [begin, end) in UTF-16 code units of `text`: what the template has between its
   * `generation` and `endgeneration` tags. Empty where it has none.
   */
  readonly assistant: readonly (readonly [begin: number, end: number])[]
}

/** The spans' marks while a template renders: two code points that Unicode keeps for no character. */
const opening = '\ufdd0'
const closing = '\ufdd1'

/** Turns the `generation` tags, which say nothing to the Jinja library, into blocks that print the marks. */
const markSpans = (template: string): string =>
  template.replace(
    /{%(-?)\s*(end)?generation\s*(-?)%}/g,
    (_, left: string, end: string | undefined, right: string) => {
      const mark = `{{ '${end === undefined ? opening : closing}' }}`
      return `{%${left} if true %}${mark}{% endif ${right}%}`
    },
  )

const takeSpans = (marked: string): RenderedChat => {
  const assistant: [number, number][] = []
  let text = ''
  let begin: number | undefined
  for (const piece of marked.split(new RegExp(`([${opening}${closing}])`))) {
    if (piece === opening) begin = text.length
    else if (piece !== closing) text += piece
    else if (begin !== undefined) {
      assistant.push([begin, text.length])
      begin = undefined
    }
  }
  return { text, assistant }
}

/**
 * Renders a chat by a model's Jinja template.
 *
 * @category rendering
 */
export const renderChat = (
  template: string,
  messages: readonly Message[],
  options: RenderOptions = {},
): E.Either<ChatError, RenderedChat> =>
  pipe(
    E.tryCatch(
      () =>
        new Template(markSpans(template)).render({
          ...options.variables,
          messages,
          tools: options.tools ?? null,
          add_generation_prompt: options.addGenerationPrompt ?? false,
        }),
      (e) =>
        new ChatError(
          'BadTemplate',
          `the template failed (${(e as Error).message})`,
          'check it against the messages, the roles that it takes, and the variables that it needs',
          e,
        ),
    ),
    E.map(takeSpans),
    E.chain((rendered) =>
      options.continueFinalMessage === true ? cutAfterLast(rendered, messages) : E.right(rendered),
    ),
  )

/** The rendered chat up to the end of the last message's own text. */
const cutAfterLast = (
  { text, assistant }: RenderedChat,
  messages: readonly Message[],
): E.Either<ChatError, RenderedChat> => {
  const last = messages[messages.length - 1]
  const content = last === undefined ? '' : plainText(last.content).trim()
  const at = content === '' ? -1 : text.lastIndexOf(content)
  if (at < 0) {
    const what = 'the last message does not occur in the rendered text'
    return E.left(new ChatError('BadMessages', what, 'render without continueFinalMessage'))
  }
  const end = at + content.length
  const spans = assistant.filter(([b]) => b < end).map(([b, e]): [number, number] => [b, Math.min(e, end)])
  return E.right({ text: text.slice(0, end), assistant: spans })
}

// --- pictures ---------------------------------------------------------------------------------------------

/** The mark of a picture in a text. */
export const imageMark = '<image>'

const plainText = (content: Message['content']): string =>
  typeof content === 'string'
    ? content
    : content.map((part) => (part.type === 'text' ? part.text : `${imageMark}\n`)).join('')

const marksIn = (text: string): number => text.split(imageMark).length - 1

const whole = (n: number, least: number): boolean => Number.isSafeInteger(n) && n >= least

/** The tokens of one picture: `<img>`, `<IMG_CONTEXT>` once for each visual token, `</img>`. */
const placeholder = (tiles: number, tokensPerTile: number): string =>
  `<img>${'<IMG_CONTEXT>'.repeat(tiles * tokensPerTile)}</img>`

const checkTiles = (tiles: readonly number[], tokensPerTile: number): ChatError | undefined => {
  if (!whole(tokensPerTile, 1))
    return new ChatError('BadMessages', `tokensPerTile is ${tokensPerTile}`, 'give a whole number from 1 up')
  const bad = tiles.findIndex((n) => !whole(n, 1))
  return bad < 0
    ? undefined
    : new ChatError('BadMessages', `picture ${bad} has ${tiles[bad]} tiles`, 'give a whole number from 1 up')
}

const countError = (marks: number, pictures: number): ChatError =>
  new ChatError(
    'PictureCount',
    `the number of ${imageMark} marks (${marks}) and of pictures (${pictures}) differ`,
    'give as many tile counts as there are marks',
  )

/**
 * Replaces the n-th `<image>` by the placeholder of the n-th picture: `<img>`, `<IMG_CONTEXT>` for each of its
 * visual tokens, `</img>`. The model puts the visual tokens in the places of `<IMG_CONTEXT>`, in their order.
 *
 * @param tiles tiles of each picture, the thumbnail among them
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
  /** Tiles of each picture of the chat, in order. Default none. */
  readonly tiles?: readonly number[]
  /** Visual tokens of one tile. Needed where there are pictures. */
  readonly tokensPerTile?: number
  /** The system prompt of a chat that does not begin with one: {@link sailVl2System}, another, or none. */
  readonly system?: string
  /** End with the opening of the assistant's turn. Default: where the last turn is the user's. */
  readonly addGenerationPrompt?: boolean
}

/** A piece of a chat: `learn` where it is what the assistant says, its closing `<|im_end|>` included. */
export interface ChatPiece {
  readonly text: string
  readonly learn: boolean
}

const roles = ['system', 'user', 'assistant']

/**
 * A chat in SAIL-VL2's template, in pieces that are to be learned (the answers) and pieces that are not.
 * Neighbouring pieces differ in `learn`.
 *
 * ChatML without a newline after `<|im_end|>`. The pictures stand where the text has `<image>`; where it has no
 * mark at all, each one's placeholder and a newline come before the first query. Source: ms-swift's template for
 * SAIL-VL2 (modelscope/ms-swift, `swift/template/templates/seed.py`).
 *
 * A text that is encoded piece by piece has the tokens of the whole text unless an answer begins with a newline.
 *
 * @category rendering
 */
export const sailVl2Pieces = (
  messages: readonly Message[],
  options: SailVl2Options = {},
): E.Either<ChatError, readonly ChatPiece[]> => {
  const { tiles = [], tokensPerTile, system } = options
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
  const add = (text: string, learn: boolean): void => {
    const before = pieces[pieces.length - 1]
    if (before?.learn === learn) pieces[pieces.length - 1] = { text: before.text + text, learn }
    else pieces.push({ text, learn })
  }
  if (system !== undefined && first.role !== 'system') add(`<|im_start|>system\n${system}<|im_end|>`, false)
  let used = 0
  for (const [i, { role }] of messages.entries()) {
    const here = marksIn(texts[i]!)
    const text = expandImages(texts[i]!, tiles.slice(used, used + here), tokensPerTile ?? 1)
    if (E.isLeft(text)) return text
    used += here
    add(`<|im_start|>${role}\n`, false)
    add(`${text.right}<|im_end|>`, role === 'assistant')
  }
  if (options.addGenerationPrompt ?? last.role === 'user') add('<|im_start|>assistant\n', false)
  return E.right(pieces)
}

/**
 * A chat in SAIL-VL2's template, as one text. See {@link sailVl2Pieces}.
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
    E.map((pieces) => pieces.map((p) => p.text).join('')),
  )
