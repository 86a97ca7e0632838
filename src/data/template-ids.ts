/**
 * Chats as token ids by a tokenizer's own template, and which of the tokens are the assistant's.
 *
 * @since 0.1.0
 */
import * as E from 'fp-ts/lib/Either.js'
import {
  ChatError,
  type ChatPiece,
  encodeChat,
  type Message,
  type RenderedChat,
  renderChat,
  specialIn,
} from '../formats/index.ts'
import type { Chat, StillPart } from './chat.ts'
import type { ChatTemplate } from './processor.ts'

/** Stand in a template for an image, and behind what the assistant says; Unicode keeps these for no character. */
export const hole = '\ufdd6'
const ending = '\ufdd7'

/** The tokens of a chat; `hole` is where an image's tokens go. */
export interface TemplateIds {
  readonly ids: readonly (number | 'hole')[]
  readonly learn: readonly boolean[]
}

/** A stretch of a text, both in UTF-16 code units. */
type Span = readonly [begin: number, end: number]

const bad = (what: string, todo: string): ChatError => new ChatError('BadTemplate', what, todo)

const messagesOf = (chat: Chat<StillPart>, behind: string, trimmed: boolean): readonly Message[] =>
  chat.turns.map(({ role, parts }) => {
    const text = parts.map((p) => (p.type === 'image' ? hole : p.text)).join('')
    return { role, content: role === 'assistant' ? `${trimmed ? text.trim() : text}${behind}` : text }
  })

/** A text in pieces, each a special token or what stands between two. */
const bySpecial = (text: string, special: readonly string[]): readonly string[] => {
  const sought = specialIn(special, '')
  if (sought === undefined) return [text]
  const out: string[] = []
  let at = 0
  for (const { 0: word, index } of text.matchAll(sought)) {
    out.push(text.slice(at, index), word)
    at = index + word.length
  }
  return [...out, text.slice(at)].filter((piece) => piece !== '')
}

/**
 * What opens the turn that the assistant is to write, and, shorter and shorter, what of it ends in a special token: some
 * templates open a turn that is to be written with more words than one that was written (DeepSeek's `<think>`).
 *
 * @param without the chat up to the question
 * @param opened the same with the opening; where the chat has an end mark of its own it stands in place of that
 */
const opensOf = (without: string, opened: string, special: readonly string[]): readonly string[] => {
  const [before, behind] = [bySpecial(without, special), bySpecial(opened, special)]
  const same = behind.findIndex((piece, i) => piece !== before[i])
  const open = opened.startsWith(without)
    ? opened.slice(without.length)
    : same <= 0
      ? ''
      : behind.slice(same).join('')
  const pieces = bySpecial(open, special)
  const shorter = pieces.flatMap((piece, i) =>
    i < pieces.length - 1 && special.includes(piece) ? [pieces.slice(0, i + 1).join('')] : [],
  )
  return open === '' ? [] : [open, ...shorter.reverse()]
}

/**
 * Where the assistant speaks in a rendered text: from behind what opens its turn to behind the token that closes it. Only
 * the template's own words open and close, never what somebody wrote. The last turn is closed by `close`, which ends a
 * generation; an earlier one perhaps by another special token.
 */
const spansOf = (
  pieces: readonly ChatPiece[],
  opens: readonly string[],
  { close, special, answers }: { close: string; special: readonly string[]; answers: number },
): readonly Span[] => {
  const text = pieces.map((p) => p.text).join('')
  const own = pieces.map((p) => (p.special === 'text' ? '\0'.repeat(p.text.length) : p.text)).join('')
  const spans: Span[] = []
  let from = 0
  for (let end = text.indexOf(ending); end >= 0; end = text.indexOf(ending, from)) {
    const open = opens.find((o) => {
      const at = own.indexOf(o, from)
      return at >= 0 && at + o.length <= end
    })
    const begin = open === undefined ? -1 : own.indexOf(open, from) + open.length
    if (open === undefined || own.slice(begin, end).includes(open))
      throw bad(
        `it does not open each answer with ${JSON.stringify(opens[0])}, as it opens the one that is to be generated`,
        "mark what is learnt by 'generation' tags in the template",
      )
    const isLast = text.indexOf(ending, end + 1) < 0
    const closed = [close, ...(isLast ? [] : special)].find((word) => own.startsWith(word, end + 1))
    if (closed === undefined)
      throw bad(
        `it does not close an answer with ${close}`,
        "name the token that closes a turn with chat.end, or mark what is learnt by 'generation' tags in the template",
      )
    from = end + 1 + closed.length
    spans.push([begin, from])
  }
  if (spans.length !== answers)
    throw bad(`it writes ${spans.length} of ${answers} answers`, 'give chats that it writes whole')
  return spans
}

/** Cuts pieces at the spans, which are learnt, and takes the marks out. */
const cut = (pieces: readonly ChatPiece[], spans: readonly Span[]): readonly ChatPiece[] => {
  const out: ChatPiece[] = []
  const edges = spans.flat()
  let at = 0
  for (const { text, special } of pieces) {
    const inner = edges.filter((e) => e > at && e < at + text.length)
    const stops = [at, ...inner, at + text.length]
    for (let i = 1; i < stops.length; i++) {
      const [begin, end] = [stops[i - 1]!, stops[i]!]
      const learn = spans.some(([from, to]) => from <= begin && end <= to)
      out.push({ text: text.slice(begin - at, end - at).replaceAll(ending, ''), learn, special })
    }
    at += text.length
  }
  return out
}

/** The chat as pieces: by the template's `generation` tags where it has them, else by how it opens and closes a turn. */
const piecesOf = (template: ChatTemplate, chat: Chat<StillPart>, close: string): readonly ChatPiece[] => {
  const { special } = template
  const variables = { ...template.variables, ...chat.variables }
  const render = (messages: readonly Message[], addGenerationPrompt = false): RenderedChat => {
    const made = renderChat(template.jinja, messages, { special, variables, addGenerationPrompt })
    if (E.isLeft(made)) throw made.left
    return made.right
  }
  const answers = chat.turns.filter((t) => t.role === 'assistant').length
  const plain = render(messagesOf(chat, '', false))
  if (plain.assistant.length > 0) {
    if (plain.assistant.length !== answers)
      throw bad(
        `its 'generation' tags mark ${plain.assistant.length} of ${answers} answers`,
        'mark each of them',
      )
    return plain.pieces
  }
  const asked = messagesOf(chat, '', false).slice(0, -1)
  const opens = opensOf(render(asked).text, render(asked, true).text, special)
  if (opens.length === 0)
    throw bad('it has no opening of the assistant’s turn', "mark what is learnt by 'generation' tags in it")
  for (const trimmed of [false, true]) {
    const marked = render(messagesOf(chat, ending, trimmed))
    // a template that trims answers does not trim before a mark
    if (marked.text.replaceAll(ending, '') === plain.text)
      return cut(marked.pieces, spansOf(marked.pieces, opens, { close, special, answers }))
  }
  throw bad('it changes what the assistant says', "mark what is learnt by 'generation' tags in it")
}

/** The token ids of pieces, and what is learnt of them. */
export const idsOfPieces = (template: ChatTemplate, pieces: readonly ChatPiece[]): TemplateIds => {
  const ids: (number | 'hole')[] = []
  const learn: boolean[] = []
  let run: ChatPiece[] = []
  const flush = (): void => {
    const encoded = encodeChat(template, run)
    for (const id of encoded.ids) ids.push(id)
    for (const l of encoded.learn) learn.push(l === 1)
    run = []
  }
  for (const piece of pieces)
    for (const [i, text] of piece.text.split(hole).entries()) {
      if (i > 0) {
        flush()
        ids.push('hole')
        learn.push(false)
      }
      if (text !== '') run.push({ ...piece, text })
    }
  flush()
  return { ids, learn }
}

/**
 * The token ids of a chat by a template. Learnt is what the assistant says, in every turn, with the token that closes it.
 * Special tokens that somebody wrote are encoded as text.
 *
 * @param close the token that closes a turn
 * @throws ChatError where the template cannot write the chat, or does not show which words are the assistant's
 */
export const templateIds = (template: ChatTemplate, chat: Chat<StillPart>, close: string): TemplateIds => {
  if (chat.turns.some((t) => t.parts.some((p) => p.type === 'text' && /[\ufdd0-\ufdd7]/.test(p.text))))
    throw new ChatError(
      'BadMessages',
      'a text holds a code point from U+FDD0 to U+FDD7, which is no character',
      'take it out',
    )
  return idsOfPieces(template, piecesOf(template, chat, close))
}
