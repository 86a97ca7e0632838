/**
 * Messages of a chat, what can be wrong with them, and the pieces that a rendered chat is made of.
 *
 * @since 0.1.0
 */
import * as t from 'io-ts'
import { anyOf, type Special } from './added-tokens.ts'
import { quote } from './safetensors-error.ts'
import type { Tokenizer } from './tokenizer.ts'

/**
 * One turn of a chat. Content is a text, in which `<image>` stands for an image, or parts. An image part is
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
 * - `ImageCount`: the number of `<image>` marks and of images differ.
 *
 * @category model
 */
export class ChatError extends Error {
  readonly tag: 'BadTemplate' | 'BadMessages' | 'ImageCount'
  constructor(tag: ChatError['tag'], what: string, todo: string, cause?: unknown) {
    super(`chat: ${what}; ${todo}`, cause === undefined ? undefined : { cause })
    this.name = 'ChatError'
    this.tag = tag
  }
}

// --- checks -----------------------------------------------------------------------------------------------

/** The mark of an image in a text. */
export const imageMark = '<image>'

const TextPart = t.type({ type: t.literal('text'), text: t.string })
const ImagePart = t.type({ type: t.literal('image') })
const Content = t.union([t.string, t.array(t.union([TextPart, ImagePart]))])

/** What is wrong with messages that may come from anywhere: nothing, or a sentence of the first that is no message. */
export const messageFault = (messages: readonly unknown[]): string | undefined => {
  for (const [i, message] of messages.entries()) {
    if (typeof message !== 'object' || message === null)
      return `message ${i} is ${quote(message)}, not a message`
    const { role, content } = message as Partial<Message>
    if (typeof role !== 'string') return `message ${i} has the role ${quote(role)}, which is no text`
    if (!Content.is(content))
      return `message ${i} has the content ${quote(content)}, which is neither a text nor a list of text and image parts`
  }
  return undefined
}

/** A message's content as one text. */
export const plainText = (content: Message['content']): string =>
  typeof content === 'string'
    ? content
    : content.map((part) => (part.type === 'text' ? part.text : `${imageMark}\n`)).join('')

/**
 * The words that an assistant writes itself, though they may be special tokens: they stay what they are in its messages,
 * and are text in all others.
 */
const thinking = new Set(['<think>', '</think>'])

/** Finds special tokens that are written in a message, the longest first. */
export const specialIn = (words: Iterable<string>, role: string): RegExp | undefined =>
  anyOf([...words].filter((w) => !(role === 'assistant' && thinking.has(w))))

// --- pieces -----------------------------------------------------------------------------------------------

/**
 * A piece of a chat: `learn` where it is what the assistant says, its closing token included; `special` is `'parse'` where
 * special tokens are the template's own, and `'text'` where they are what somebody wrote.
 *
 * @category model
 */
export interface ChatPiece {
  readonly text: string
  readonly learn: boolean
  readonly special: Special
}

/** Pieces, of which neighbours that say the same are joined and empty ones left out. */
export const joinPieces = (pieces: readonly ChatPiece[]): readonly ChatPiece[] => {
  const out: ChatPiece[] = []
  for (const piece of pieces) {
    const before = out[out.length - 1]
    if (piece.text === '') continue
    if (before?.learn === piece.learn && before.special === piece.special)
      out[out.length - 1] = { ...piece, text: before.text + piece.text }
    else out.push(piece)
  }
  return out
}

/** Characters before a text that may change its tokens. */
const reach = 64

/** Pieces in runs of one `learn`. */
const runsOf = (pieces: readonly ChatPiece[]): readonly (readonly ChatPiece[])[] => {
  const runs: ChatPiece[][] = []
  for (const piece of pieces) {
    const last = runs.at(-1)
    if (last?.[0]?.learn === piece.learn) last.push(piece)
    else runs.push([piece])
  }
  return runs
}

/** The tokens of a run behind others; undefined where a token would reach across the border, and be of both. */
const behindOf = (
  tokenizer: Pick<Tokenizer, 'encode'>,
  before: readonly ChatPiece[],
  run: readonly ChatPiece[],
): Int32Array | undefined => {
  const alone = tokenizer.encode(before)
  const both = tokenizer.encode([...before, ...run])
  return alone.every((id, i) => both[i] === id) ? both.subarray(alone.length) : undefined
}

/** What words stand behind without a mark of a text that begins, and without a token across the border. */
const newline: readonly ChatPiece[] = [{ text: '\n', learn: false, special: 'text' }]

/**
 * The token ids of a chat and which of them are to be learned. What users wrote opens and closes no turns: special tokens
 * in it are encoded as text. Each run of pieces with one `learn` has tokens of its own, those that it has behind the end of the
 * run before it: a tokenizer may put a mark at the beginning of a text, which is not written there. Where a token would reach
 * across the border, as `▁yes` does behind an opening that ends with a space, both runs end and begin there all the same: so
 * an answer has the tokens that a model writes behind a prompt, where transformers gives one token to both.
 *
 * @returns `ids` `[token]` and `learn` `[token]`, 1 where the token is to be learned
 * @category rendering
 */
export const encodeChat = (
  tokenizer: Pick<Tokenizer, 'encode'>,
  pieces: readonly ChatPiece[],
): { readonly ids: Int32Array; readonly learn: Uint8Array } => {
  const ids: number[] = []
  const learn: number[] = []
  let before: readonly ChatPiece[] = []
  for (const run of runsOf(pieces)) {
    const behind = behindOf(tokenizer, before, run) ?? behindOf(tokenizer, newline, run)
    for (const id of behind ?? tokenizer.encode(run)) {
      ids.push(id)
      learn.push(run[0]!.learn ? 1 : 0)
    }
    before = run.slice(-1).map((piece) => ({ ...piece, text: piece.text.slice(-reach) }))
  }
  return { ids: Int32Array.from(ids), learn: Uint8Array.from(learn) }
}
