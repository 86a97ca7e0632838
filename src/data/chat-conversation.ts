/**
 * Chats as conversations: token ids, what is learnt of them, and their images.
 *
 * @since 0.3.0
 */
import { ChatError } from '../formats/index.ts'
import type { Chat, ChatPart } from './chat.ts'
import type { Conversation } from './conversation.ts'
import type { RgbImage } from './image.ts'
import { type Processor, ProcessorError } from './processor.ts'
import { readImage } from './read-image.ts'
import { templateIds } from './template-ids.ts'

/** A chat's tokens; images are not read. */
export type ChatTokenIds = Pick<Conversation, 'ids' | 'lossMask' | 'promptLength'>

const imagesOf = (chat: Chat) =>
  chat.turns.flatMap(({ parts }) => parts.flatMap((p) => (p.type === 'image' ? [p.image] : [])))

/** The tokens of one image; none where the processor lays out no images. */
export const tokensOfImage = ({ image }: Processor): readonly number[] =>
  image === undefined ? [] : [image.open, ...Array<number>(image.tokens).fill(image.placeholder), image.close]

/** As the processor lays out a chat: no newline behind a turn's end. */
export const ownIds = (
  p: Processor,
  chat: Chat,
  image: readonly number[],
): Omit<ChatTokenIds, 'promptLength'> => {
  const ids: number[] = []
  const lossMask: boolean[] = []
  const push = (some: readonly number[], learnt: boolean): void => {
    for (const id of some) {
      ids.push(id)
      lossMask.push(learnt)
    }
  }
  const say = (parts: readonly ChatPart[], learnt: boolean): void => {
    let text = ''
    const flush = (): void => {
      push(p.tokenizer.encodeText(text), learnt)
      text = ''
    }
    for (const part of parts) {
      if (part.type === 'text') text += part.text
      else {
        flush()
        push(image, false)
      }
    }
    flush()
  }
  for (const { role, parts } of chat.turns) {
    push([p.start], false)
    const opening = { type: 'text', text: `${role}\n` } as const
    if (role === 'assistant') {
      say([opening], false)
      say(parts, true)
    } else say([opening, ...parts], false)
    push([p.end], role === 'assistant')
  }
  return { ids, lossMask }
}

/** By the processor's template, with the images' tokens in its holes. */
const byTemplate = (
  p: Processor,
  chat: Chat,
  image: readonly number[],
): Omit<ChatTokenIds, 'promptLength'> => {
  const { ids, learn } = templateIds(p.template!, chat, p.tokenizer.decode([p.end]))
  const [holes, images] = [ids.filter((id) => id === 'hole').length, imagesOf(chat).length]
  if (holes !== images)
    throw new ChatError('ImageCount', `the template writes ${holes} of ${images} images`, 'change it')
  return {
    ids: ids.flatMap((id) => (id === 'hole' ? image : [id])),
    lossMask: ids.flatMap((id, i) => (id === 'hole' ? image.map(() => false) : [learn[i]!])),
  }
}

/**
 * The token ids of a chat: by the processor's template where it has one, else in the processor's own layout. Learnt is what
 * the assistant says in every turn, with the token that ends it. What somebody wrote stays text: it opens no turn and stands
 * for no image.
 *
 * @returns `promptLength` is before the assistant's last words
 * @throws ProcessorError `OtherModel` where there are images and the processor lays out none
 * @throws ChatError where the template cannot write the chat
 */
export const chatIds = (p: Processor, chat: Chat): ChatTokenIds => {
  if (imagesOf(chat).length > 0 && p.image === undefined)
    throw new ProcessorError(
      'OtherModel',
      'the chat has images, and the processor lays out none; give it image options',
    )
  const made = (p.template === undefined ? ownIds : byTemplate)(p, chat, tokensOfImage(p))
  const last = made.lossMask.lastIndexOf(true)
  return { ...made, promptLength: made.lossMask.lastIndexOf(false, Math.max(0, last)) + 1 }
}

/** The images of a chat, as {@link readImage} reads them for a processor that lays out images. */
export const chatImages = (p: Processor, chat: Chat): Promise<readonly RgbImage[]> =>
  Promise.all(imagesOf(chat).map((i) => readImage(i, p.image!.size)))

/**
 * A chat as a conversation: its tokens as {@link chatIds} has them, its images as {@link readImage} reads them.
 *
 * @throws ImageError where an image cannot be read, and what {@link chatIds} throws
 * @category constructors
 */
export const chatConversation = async (p: Processor, chat: Chat): Promise<Conversation> => {
  const tokens = chatIds(p, chat)
  return { id: chat.id, ...tokens, images: await chatImages(p, chat) }
}
