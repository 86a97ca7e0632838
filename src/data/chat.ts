/**
 * Chats: what users and the assistant say to each other, with images and videos between the words.
 *
 * @since 0.1.0
 */
import type { ImageInput } from './read-image.ts'
import type { VideoInput } from './video.ts'

/** A piece of a turn: a text as it was written, an image (perhaps a video's frame, which is never cut), or a video. */
export type ChatPart =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'image'; readonly image: ImageInput; readonly frame?: boolean }
  | { readonly type: 'video'; readonly video: VideoInput }

/** A piece of a turn whose videos are frames. */
export type StillPart = Exclude<ChatPart, { readonly type: 'video' }>

/** What one of them says. */
export interface ChatTurn<out P extends ChatPart = ChatPart> {
  readonly role: 'system' | 'user' | 'assistant'
  readonly parts: readonly P[]
  /** False of an answer that is read and not learnt: one of a prompt, or of weight 0. */
  readonly learn?: false
}

/** A chat: perhaps a system turn, then user and assistant by turns; the assistant has the last word. */
export interface Chat<out P extends ChatPart = ChatPart> {
  readonly id: string
  readonly turns: readonly ChatTurn<P>[]
  /** Variables of the template beside its own: a row's `chat_template_kwargs`. */
  readonly variables?: Readonly<Record<string, unknown>>
}

/** A text as the parts of a turn. */
export const textPart = (text: string): readonly ChatPart[] => (text === '' ? [] : [{ type: 'text', text }])

/**
 * The parts of a message as a model reads them: behind an image a newline, where something comes after it that does not begin
 * with white space itself. A video ends with a newline, that of its last frame.
 */
export const spaced = (parts: readonly ChatPart[]): readonly ChatPart[] =>
  parts.flatMap((part, i): readonly ChatPart[] => {
    const next = parts[i + 1]
    const apart =
      part.type !== 'image' || next === undefined || (next.type === 'text' && /^\s/.test(next.text))
    return apart ? [part] : [part, { type: 'text', text: '\n' }]
  })
