/**
 * What a model is given of a chat when it is to answer.
 *
 * @since 0.1.0
 */
import * as E from 'fp-ts/lib/Either.js'
import { ChatError, renderChat } from '../formats/index.ts'
import { onlySettings } from '../settings/index.ts'
import { present } from '../settings/internal.ts'
import type { ChatTurn, StillPart } from './chat.ts'
import { chatImages, type ImageIdLists, ownIds, withFrames, withImages } from './chat-conversation.ts'
import type { Conversation } from './conversation.ts'
import { type Processor, ProcessorError } from './processor.ts'
import { keptImages } from './seen-image.ts'
import { hole, idsOfPieces } from './template-ids.ts'

/** What a prompt may be told. */
export interface ChatPromptOptions {
  /**
   * Whether the assistant is to think before it answers: the template's variable `enable_thinking`; in the processor's own
   * layout, where it is true, the assistant's turn begins with the token that opens a thought. Default: as the model does.
   */
  readonly think?: boolean
  /** Further variables of the template. The processor's own layout has none. */
  readonly variables?: Readonly<Record<string, unknown>>
}

/** An earlier answer without its thought: models are trained to answer a turn without those of the turns before. */
const withoutThought = (p: Processor, text: string): string =>
  p.thought === undefined ? text : text.split(p.tokenizer.decode([p.thought.close])).at(-1)!

const spoken = (p: Processor, turns: readonly ChatTurn<StillPart>[]): readonly ChatTurn<StillPart>[] =>
  turns.map(({ role, parts }) => ({
    role,
    parts: parts.map((part) =>
      role === 'assistant' && part.type === 'text' ? { ...part, text: withoutThought(p, part.text) } : part,
    ),
  }))

const byTemplate = (
  p: Processor,
  turns: readonly ChatTurn<StillPart>[],
  images: ImageIdLists,
  { think, variables }: ChatPromptOptions,
): readonly number[] => {
  const { template } = p
  const messages = turns.map(({ role, parts }) => ({
    role,
    content: parts.map((part) => (part.type === 'image' ? hole : part.text)).join(''),
  }))
  const texts = turns.flatMap((t) => t.parts.flatMap((part) => (part.type === 'text' ? [part.text] : [])))
  if (texts.some((text) => text.includes(hole)))
    throw new ChatError(
      'BadMessages',
      'a text holds the code point U+FDD6, which is no character',
      'take it out',
    )
  const rendered = renderChat(template!.jinja, messages, {
    special: template!.special,
    variables: {
      ...template!.variables,
      ...variables,
      ...present({ enable_thinking: think }),
    },
    addGenerationPrompt: true,
  })
  if (E.isLeft(rendered)) throw rendered.left
  // nothing is learnt of a prompt: pieces are encoded together
  const pieces = rendered.right.pieces.map((piece) => ({ ...piece, learn: false }))
  return withImages(idsOfPieces(template!, pieces), images).ids
}

const byProcessor = (
  p: Processor,
  turns: readonly ChatTurn<StillPart>[],
  images: ImageIdLists,
  { think, variables }: ChatPromptOptions,
): readonly number[] => {
  if (Object.keys(variables ?? {}).length > 0)
    throw new ProcessorError(
      'OtherModel',
      `the processor lays out chats itself and has no template with the variables ${Object.keys(variables!).join(', ')}; leave them out`,
    )
  if (think === true && p.thought === undefined)
    throw new ProcessorError(
      'OtherModel',
      'the processor has no tokens for a thought; ask without thinking, or give it thought: {}',
    )
  return [
    ...ownIds(p, { id: '', turns: spoken(p, turns) }, images).ids,
    ...[p.start, ...p.tokenizer.encodeText('assistant\n')],
    ...(think === true ? [p.thought!.open] : []),
  ]
}

/**
 * A chat up to where the assistant begins to write, by the processor's template where it has one, else in its own layout,
 * in which earlier answers stand without their thoughts. What somebody wrote stays text.
 *
 * @param turns of which the last is the user's
 * @throws ProcessorError `OtherModel` where there are images, a thought or variables and the processor lays out none;
 *   ChatError where the last turn is no user's, where somebody else shows an image, where the template cannot write the chat; ImageError where an image cannot be read
 * @category constructors
 */
export const chatPrompt = async (
  p: Processor,
  id: string,
  turns: readonly ChatTurn[],
  options: ChatPromptOptions = {},
): Promise<Conversation> => {
  onlySettings('chatPrompt', options, ['think', 'variables'])
  if (turns.at(-1)?.role !== 'user')
    throw new ChatError(
      'BadMessages',
      turns.length === 0 ? 'there is no turn' : `the last turn is the ${turns.at(-1)!.role}'s`,
      'let a user have the last word, to which the assistant answers',
    )
  if (p.image === undefined && turns.some((t) => t.parts.some((part) => part.type !== 'text')))
    throw new ProcessorError(
      'OtherModel',
      'the chat has images, and the model reads text alone; leave them out',
    )
  const still = await withFrames(p, turns)
  const images = await chatImages(p, { turns: still })
  const each = images.map((i) => i.ids)
  const ids = (p.template === undefined ? byProcessor : byTemplate)(p, still, each, options)
  return {
    id,
    ids,
    lossMask: ids.map(() => false),
    promptLength: ids.length,
    ...keptImages(images),
  }
}
