/**
 * Chats as text: Jinja chat templates as published with models, and SAIL-VL2's own template as a pure function.
 *
 * @since 0.1.0
 */
import { Template } from '@huggingface/jinja'
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import {
  ChatError,
  type ChatPiece,
  imageMark,
  joinPieces,
  type Message,
  messageFault,
  plainText,
  specialIn,
} from './chat-message.ts'

export {
  ChatError,
  type ChatPiece,
  encodeChat,
  imageMark,
  type Message,
  type MessagePart,
} from './chat-message.ts'

// --- Jinja templates --------------------------------------------------------------------------------------

/** How {@link renderChat} renders. Further variables of the template go into `variables`. */
export interface RenderOptions {
  /** End with the opening of the assistant's turn. Default false. */
  readonly addGenerationPrompt?: boolean
  /** End within the last message, so that a model goes on with it. Default false. */
  readonly continueFinalMessage?: boolean
  /**
   * The tokenizer's special tokens. Where one is written in a message it is text, and `pieces` says so; without them what
   * a user writes can open turns of its own.
   */
  readonly special?: Iterable<string>
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
  /** The same text in pieces: what the assistant says, and special tokens that are written in messages; see {@link encodeChat}. */
  readonly pieces: readonly ChatPiece[]
}

/**
 * Marks while a template renders, of code points that Unicode keeps for no character: where the assistant begins and ends,
 * the end of the message to be continued, and the middle of a special token that somebody wrote.
 */
const [opening, closing, ending, broken] = ['\ufdd0', '\ufdd1', '\ufdd2', '\ufdd3'] as const
const anyMark = /[\ufdd0-\ufdd3]/

/** Turns the `generation` tags, which say nothing to the Jinja library, into blocks that print the marks. */
const markSpans = (template: string): string =>
  template.replace(
    /{%(-?)\s*(end)?generation\s*(-?)%}/g,
    (_, left: string, end: string | undefined, right: string) => {
      const mark = `{{ '${end === undefined ? opening : closing}' }}`
      return `{%${left} if true %}${mark}{% endif ${right}%}`
    },
  )

/** Every text of a message's content changed. Content of other kinds, as templates with tools take it, stays. */
const mapTexts = (message: Message, change: (text: string, last: boolean) => string): Message => {
  const content: unknown = message?.content
  if (typeof content === 'string') return { ...message, content: change(content, true) }
  if (!Array.isArray(content)) return message
  const texts = content.map((part) => typeof part?.text === 'string')
  const last = texts.lastIndexOf(true)
  return {
    ...message,
    content: content.map((part, i) => (texts[i] ? { ...part, text: change(part.text, i === last) } : part)),
  }
}

/** Puts a mark behind the first character of each special token that is written in a message. */
const breakSpecial = (messages: readonly Message[], special: Iterable<string>): readonly Message[] => {
  const words = [...special]
  return messages.map((message) => {
    const sought = specialIn(words, message?.role)
    return sought === undefined
      ? message
      : mapTexts(message, (text) =>
          text.replace(sought, (word) => {
            const [first] = word as Iterable<string>
            return `${first}${broken}${word.slice(first!.length)}`
          }),
        )
  })
}

/** Puts a mark and a space behind the last text of the last message: the space tells whether the template trims. */
const markEnd = (messages: readonly Message[]): readonly Message[] =>
  messages.map((message, i) =>
    i < messages.length - 1
      ? message
      : mapTexts(message, (text, last) => (last ? `${text}${ending} ` : text)),
  )

/** What was rendered up to the end of the last message; undefined where it was not rendered. */
const cutAtEnd = (marked: string): string | undefined => {
  const at = marked.lastIndexOf(ending)
  if (at < 0) return undefined
  const text = marked.slice(0, at)
  // a template that trims would have trimmed what stands before the mark, too
  return marked[at + 1] === ' ' ? text : text.trimEnd()
}

/** Takes the marks out and keeps what they said. */
const takeMarks = (marked: string, special: Iterable<string>): RenderedChat => {
  const sought = specialIn(special, '')
  const pieces: ChatPiece[] = []
  const assistant: [number, number][] = []
  let text = ''
  let learn = false
  const add = (piece: string, how: ChatPiece['special']): void => {
    pieces.push({ text: piece, learn, special: how })
    text += piece
  }
  for (const part of marked.split(/([\ufdd0\ufdd1])/)) {
    if (part === opening) {
      learn = true
      assistant.push([text.length, text.length])
    } else if (part === closing) learn = false
    else {
      // the character before a mark begins a special token that somebody wrote
      const [before, ...rest] = part.split(/(?=[^\ufdd3]\ufdd3)/u)
      for (const stretch of [before!, ...rest]) {
        const whole = stretch.replaceAll(broken, '')
        const word = stretch.includes(broken) ? sought?.exec(whole)?.[0] : undefined
        if (sought !== undefined) sought.lastIndex = 0
        add(word ?? '', 'text')
        add(whole.slice(word?.length ?? 0), 'parse')
      }
      const span = assistant[assistant.length - 1]
      if (learn && span !== undefined) span[1] = text.length
    }
  }
  return { text, assistant, pieces: joinPieces(pieces) }
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
): E.Either<ChatError, RenderedChat> => {
  const { special = [], continueFinalMessage = false } = options
  const words = [...special]
  return pipe(
    E.tryCatch(
      () => {
        if (anyMark.test(JSON.stringify([messages, options.tools, options.variables]) ?? ''))
          throw new ChatError(
            'BadMessages',
            'a text holds a code point from U+FDD0 to U+FDD3, which is no character',
            'take it out',
          )
        const broke = breakSpecial(messages, words)
        return new Template(markSpans(template)).render({
          ...options.variables,
          messages: continueFinalMessage ? markEnd(broke) : broke,
          tools: options.tools ?? null,
          add_generation_prompt: options.addGenerationPrompt ?? false,
        })
      },
      (e) =>
        e instanceof ChatError
          ? e
          : new ChatError(
              'BadTemplate',
              `the template failed (${(e as Error).message})`,
              'check it against the messages, the roles that it takes, and the variables that it needs',
              e,
            ),
    ),
    E.chain((marked) => {
      const text = continueFinalMessage ? cutAtEnd(marked) : marked
      return text === undefined
        ? E.left(
            new ChatError(
              'BadMessages',
              'the last message does not occur in the rendered text',
              'render without continueFinalMessage',
            ),
          )
        : E.right(takeMarks(text, words))
    }),
  )
}

// --- pictures ---------------------------------------------------------------------------------------------

const marksIn = (text: string): number => text.split(imageMark).length - 1

const whole = (n: number, least: number): boolean => Number.isSafeInteger(n) && n >= least

/** The tokens of one picture: `<img>`, `<IMG_CONTEXT>` once for each visual token, `</img>`. */
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
      `picture ${bad} has ${tiles[bad]} tiles`,
      'give a whole number from 1 up',
    )
  const tokens = tiles.reduce((sum, n) => sum + n, 0) * tokensPerTile
  return tokens <= mostVisualTokens
    ? undefined
    : new ChatError(
        'BadMessages',
        `the pictures have ${tokens} visual tokens, more than ${mostVisualTokens}`,
        'give fewer tiles',
      )
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

const roles = ['system', 'user', 'assistant']

/**
 * A chat in SAIL-VL2's template, in pieces that are to be learned (the answers) and pieces that are not.
 * Neighbouring pieces differ in `learn` or in `special`: the template's own words and the pictures' placeholders are control,
 * what the messages say is text, so that nothing that a user writes opens a turn ({@link encodeChat}).
 *
 * ChatML without a newline after `<|im_end|>`. The pictures stand where the text has `<image>`; where it has no
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
