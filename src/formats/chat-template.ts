/**
 * Chats as text by Jinja chat templates, as published with models.
 *
 * @since 0.1.0
 */
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import { onlySettings } from '../settings/index.ts'
import { ChatError, type ChatPiece, joinPieces, type Message, specialIn } from './chat-message.ts'
import { jinja } from './jinja.ts'
import { cutShort } from './json.ts'

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
  onlySettings('renderChat', options, [
    'addGenerationPrompt',
    'continueFinalMessage',
    'special',
    'tools',
    'variables',
  ])
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
        return jinja(markSpans(template))({
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
              `the template failed (${cutShort((e as Error).message)})`,
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
