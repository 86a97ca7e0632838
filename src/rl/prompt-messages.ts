/** A prompt's ids as the messages of OpenAI's protocol, for servers that lay out chats themselves. */
import { type Conversation, type Processor, pngDataUrl, wholeImages } from '../data/index.ts'
import { present } from '../settings/internal.ts'

/** A piece of a message. */
export type MessagePart =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'image_url'; readonly image_url: { readonly url: string } }

/** A message: a text, or parts where it has images. */
interface PromptMessage {
  readonly role: string
  readonly content: string | readonly MessagePart[]
}

/** A prompt as a request has it. */
interface PromptMessages {
  readonly messages: readonly PromptMessage[]
  /** Whether the prompt opens a thought (true) or closes an empty one (false); undefined where it does neither. */
  readonly think?: boolean
}

/** A text, or where the tokens of an image are. */
type Span = { readonly text: string } | 'image'

const spansOf = (p: Processor, ids: readonly number[]): readonly Span[] => {
  const spans: Span[] = []
  let text: number[] = []
  const flush = (): void => {
    if (text.length > 0) spans.push({ text: p.tokenizer.decode(text) })
    text = []
  }
  for (let i = 0; i < ids.length; i++) {
    const { image } = p
    let end = i + 1
    while (image !== undefined && ids[end] === image.placeholder) end++
    if (image !== undefined && ids[i] === image.open && end > i + 1 && ids[end] === image.close) {
      flush()
      spans.push('image')
      i = end
    } else text.push(ids[i]!)
  }
  flush()
  return spans
}

/** What a thought's tokens say of a prompt that they end. @throws Error where the prompt begins the answer itself */
const thinkOf = (p: Processor, begun: string): boolean | undefined => {
  const of = (id: number | undefined, otherwise: string): string =>
    id === undefined ? otherwise : p.tokenizer.decode([id])
  const [open, close] = [of(p.thought?.open, '<think>'), of(p.thought?.close, '</think>')]
  const said = begun.replaceAll(/\s/g, '')
  if (said === '') return undefined
  if (said === open) return true
  if (said === open + close) return false
  throw new Error(`its prompt begins the answer with ${JSON.stringify(begun)}, which messages cannot`)
}

/** The ids of each turn, without the tokens around it; the last is open. Undefined where the ids are no turns. */
const turnsOf = (p: Processor, ids: readonly number[]): readonly (readonly number[])[] | undefined => {
  const turns: (readonly number[])[] = []
  for (let rest = ids; ; ) {
    const [start, end] = [rest.indexOf(p.start), rest.indexOf(p.end)]
    // a template may write a newline between turns
    if (start < 0 || p.tokenizer.decode(rest.slice(0, start)).trim() !== '') return undefined
    turns.push(rest.slice(start + 1, end < 0 ? undefined : end))
    if (end < 0) return turns
    rest = rest.slice(end + 1)
  }
}

/** A turn as it is written: the role's line, then what is said. Undefined where it has no role. */
const turnOf = (p: Processor, ids: readonly number[]) => {
  const [first, ...others] = spansOf(p, ids)
  const [, role, text] =
    /^(\w+)\n(.*)$/s.exec(first === undefined || first === 'image' ? '' : first.text) ?? []
  return role === undefined ? undefined : { role, said: text === '' ? others : [{ text: text! }, ...others] }
}

/**
 * The messages of a prompt: who says what, with each image where its tokens are; a video is its frames, each an image behind
 * its number. Texts are those of the ids, to the space.
 *
 * @throws Error where the ids are not turns between the processor's two tokens for them with the assistant's open at the end,
 *   or hold other images than the prompt has
 */
export const promptMessages = async (
  p: Processor,
  prompt: Pick<Conversation, 'ids' | 'promptLength' | 'images' | 'uncut'>,
): Promise<PromptMessages> => {
  const turns = turnsOf(p, prompt.ids.slice(0, prompt.promptLength))?.map((ids) => turnOf(p, ids))
  const open = turns?.at(-1)
  if (turns?.includes(undefined) !== false || open?.role !== 'assistant' || open.said.includes('image'))
    throw new Error(
      `its prompt is not laid out in turns from ${p.tokenizer.decode([p.start])} to ${p.tokenizer.decode([p.end])}, the assistant's open at the end`,
    )
  const images = wholeImages(prompt)
  const told = turns.slice(0, -1).map((turn) => turn!)
  const shown = told.reduce((n, { said }) => n + said.filter((span) => span === 'image').length, 0)
  if (shown !== images.length)
    throw new Error(`its prompt has the tokens of ${shown} images, and ${images.length} images`)
  const urls = await Promise.all(images.map(pngDataUrl))
  let used = 0
  const messages = told.map(({ role, said }): PromptMessage => {
    const [only] = said
    if (said.length === 0) return { role, content: '' }
    if (said.length === 1 && only !== 'image') return { role, content: only!.text }
    return {
      role,
      content: said.map((span) =>
        span === 'image'
          ? { type: 'image_url', image_url: { url: urls[used++]! } }
          : { type: 'text', text: span.text },
      ),
    }
  })
  const think = thinkOf(p, open.said.map((span) => (span === 'image' ? '' : span.text)).join(''))
  return { messages, ...present({ think }) }
}
