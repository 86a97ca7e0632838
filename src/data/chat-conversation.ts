/**
 * Chats as conversations: token ids, what is learnt of them, and their images.
 *
 * @since 0.1.0
 */
import { ChatError } from '../formats/index.ts'
import type { Chat, ChatTurn, StillPart } from './chat.ts'
import type { Conversation } from './conversation.ts'
import type { RgbImage } from './image.ts'
import { type Processor, ProcessorError } from './processor.ts'
import { frameLabel } from './prompt.ts'
import { readWholeImage } from './read-image.ts'
import { anyImageIds, keptImages, type SeenImage, seen } from './seen-image.ts'
import { type TemplateIds, templateIds } from './template-ids.ts'
import { readVideo } from './video.ts'

/** A chat's tokens; images are not read. */
export type ChatTokenIds = Pick<Conversation, 'ids' | 'lossMask' | 'promptLength'>

/** A video as the frames that a model is shown, each behind its number. */
const framesOf = (frames: readonly RgbImage[]): readonly StillPart[] =>
  frames.flatMap((pixels, i): readonly StillPart[] => [
    { type: 'text', text: frameLabel(i) },
    { type: 'image', image: { pixels }, frame: true },
    { type: 'text', text: '\n' },
  ])

/** Sees that only users show something: nobody learns to write an image. @throws ChatError `BadMessages` */
const onlyUsersShow = (turns: readonly ChatTurn[]): void => {
  const at = turns.findIndex(({ role, parts }) => role !== 'user' && parts.some((p) => p.type !== 'text'))
  if (at >= 0)
    throw new ChatError(
      'BadMessages',
      `turn ${at} is the ${turns[at]!.role}'s and has an image or a video`,
      "show it in a user's turn",
    )
}

/**
 * Turns in which each video is its frames, as many as the processor says.
 *
 * @throws ImageError where a video cannot be read, ChatError `BadMessages` where somebody else than a user shows something
 */
export const withFrames = async (
  p: Processor,
  turns: readonly ChatTurn[],
): Promise<readonly ChatTurn<StillPart>[]> => {
  onlyUsersShow(turns)
  return Promise.all(
    turns.map(async ({ parts, ...turn }) => ({
      ...turn,
      parts: (
        await Promise.all(
          parts.map(async (part) =>
            part.type === 'video' ? framesOf(await readVideo(part.video, p.image?.frames)) : [part],
          ),
        )
      ).flat(),
    })),
  )
}

const imagesOf = (chat: Pick<Chat, 'turns'>) =>
  chat.turns.flatMap(({ parts }) => parts.flatMap((p) => (p.type === 'image' ? [p] : [])))

/** The ids of each image of a chat, in their order. */
export type ImageIdLists = readonly (readonly number[])[]

/**
 * The ids of each image of a chat.
 *
 * @param images as {@link chatImages} reads them; without them every image must take equally many tokens
 * @throws ProcessorError `OtherModel` where the processor lays out none, or cuts them and has not been given them
 */
const imageIdsOf = (p: Processor, chat: Pick<Chat, 'turns'>, images?: readonly SeenImage[]): ImageIdLists =>
  images?.map(({ ids }) => ids) ?? imagesOf(chat).map(() => anyImageIds(p))

/** As the processor lays out a chat: no newline behind a turn's end. */
export const ownIds = (
  p: Processor,
  chat: Chat<StillPart>,
  images: ImageIdLists,
): Omit<ChatTokenIds, 'promptLength'> => {
  let used = 0
  const ids: number[] = []
  const lossMask: boolean[] = []
  const push = (some: readonly number[], learnt: boolean): void => {
    for (const id of some) {
      ids.push(id)
      lossMask.push(learnt)
    }
  }
  const say = (parts: readonly StillPart[], learnt: boolean): void => {
    let text = ''
    const flush = (): void => {
      push(p.tokenizer.encodeText(text), learnt)
      text = ''
    }
    for (const part of parts) {
      if (part.type === 'text') text += part.text
      else {
        flush()
        push(images[used++]!, false)
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

/** By the processor's template. */
const byTemplate = (
  p: Processor,
  chat: Chat<StillPart>,
  images: ImageIdLists,
): Omit<ChatTokenIds, 'promptLength'> =>
  withImages(templateIds(p.template!, chat, p.tokenizer.decode([p.end])), images)

/** What a template wrote, with the images' tokens in its holes. @throws ChatError `ImageCount` */
export const withImages = (
  { ids, learn }: TemplateIds,
  images: ImageIdLists,
): Omit<ChatTokenIds, 'promptLength'> => {
  const holes = ids.filter((id) => id === 'hole').length
  if (holes !== images.length)
    throw new ChatError('ImageCount', `the template writes ${holes} of ${images.length} images`, 'change it')
  let used = 0
  const placed = ids.map((id, i) =>
    id === 'hole'
      ? { ids: images[used]!, learn: images[used++]!.map(() => false) }
      : { ids: [id], learn: [learn[i]!] },
  )
  return { ids: placed.flatMap((x) => x.ids), lossMask: placed.flatMap((x) => x.learn) }
}

/** The mask without the answers that are not to be learnt. Between two answers stands what a user says: each is one run of it. */
const learntOf = ({ turns }: Pick<Chat, 'turns'>, mask: readonly boolean[]): readonly boolean[] => {
  const answers = turns.filter(({ role }) => role === 'assistant')
  if (answers.every(({ learn }) => learn !== false)) return mask
  let run = -1
  const learnt = mask.map((on, i) => {
    if (on && mask[i - 1] !== true) run++
    return on && answers[run]?.learn !== false
  })
  if (run + 1 === answers.length) return learnt
  throw new ChatError(
    'BadTemplate',
    `it writes ${answers.length} answers as ${run + 1}, so that one of them cannot be left unlearnt`,
    "mark each answer by 'generation' tags in it",
  )
}

const isStill = (chat: Chat): chat is Chat<StillPart> =>
  chat.turns.every(({ parts }) => parts.every(({ type }) => type !== 'video'))

/**
 * The token ids of a chat: by the processor's template where it has one, else in the processor's own layout. Learnt is what
 * the assistant says in every turn, with the token that ends it. What somebody wrote stays text: it opens no turn and stands
 * for no image.
 *
 * @param images as {@link chatImages} reads them; without them every image must take equally many tokens
 * @returns `promptLength` is before the assistant's last words
 * @throws ProcessorError `OtherModel` where there are images and the processor lays out none
 * @throws ChatError where the template cannot write the chat, or somebody else than a user shows an image
 */
export const chatIds = (p: Processor, chat: Chat, images?: readonly SeenImage[]): ChatTokenIds => {
  if (!isStill(chat))
    throw new ProcessorError(
      'OtherModel',
      'the chat has a video, whose frames are not read yet; read it by chatConversation',
    )
  onlyUsersShow(chat.turns)
  if (p.template === undefined && chat.variables !== undefined)
    throw new ProcessorError(
      'OtherModel',
      `the processor lays out chats itself and has no template with the variables ${Object.keys(chat.variables).join(', ')}; leave them out`,
    )
  const made = (p.template === undefined ? ownIds : byTemplate)(p, chat, imageIdsOf(p, chat, images))
  const lossMask = learntOf(chat, made.lossMask)
  const last = lossMask.lastIndexOf(true)
  return { ids: made.ids, lossMask, promptLength: lossMask.lastIndexOf(false, Math.max(0, last)) + 1 }
}

/**
 * The images of a chat, read, as the processor's model sees them.
 *
 * @throws ProcessorError `OtherModel` where there are images and the processor lays out none; ImageError where one cannot be
 *   read
 */
export const chatImages = async (p: Processor, chat: Pick<Chat, 'turns'>): Promise<readonly SeenImage[]> =>
  seen(
    p,
    await Promise.all(
      imagesOf(chat).map(async ({ image, frame = false }) => ({ image: await readWholeImage(image), frame })),
    ),
  )

/**
 * A chat as a conversation: its tokens as {@link chatIds} has them, its images as {@link chatImages} reads them, its videos as
 * frames: at most as many as the processor says, before the i-th `Frame-i: `, behind each a newline.
 *
 * @throws ImageError where an image or a video cannot be read, and what {@link chatIds} throws
 * @category constructors
 */
export const chatConversation = async (p: Processor, chat: Chat): Promise<Conversation> => {
  const still = { ...chat, turns: await withFrames(p, chat.turns) }
  const images = await chatImages(p, still)
  return { id: chat.id, ...chatIds(p, still, images), ...keptImages(images) }
}
