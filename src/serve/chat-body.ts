/** The body of `/v1/chat/completions`. */
import * as t from 'io-ts'
import { type ChatPart, type ChatTurn, chatPrompt, ImageError, ProcessorError } from '../data/index.ts'
import { ChatError } from '../formats/index.ts'
import { type Ask, type Offered, roomFor } from './ask.ts'
import { decoded, either, flag, oneOf, text, wholeFrom } from './codecs.ts'
import { RequestError } from './request-error.ts'
import { Common, commonNames, onlyOffered, samplingOf, seedOf, stopsOf } from './settings.ts'

const TextPart = t.type({ type: oneOf('text'), text })
const ImagePart = t.type({
  type: oneOf('image_url'),
  image_url: either('a data URL, or an object with the url', text, t.type({ url: text })),
})
type Part = t.TypeOf<typeof TextPart> | t.TypeOf<typeof ImagePart>

/** A part, read by its type, so that what is said of a wrong one is about its own kind. */
const Part: t.Type<Part, unknown> = new t.Type(
  'a part of type text or image_url',
  (u): u is Part => TextPart.is(u) || ImagePart.is(u),
  (u, c) => {
    const { type } = (u ?? {}) as { readonly type?: unknown }
    return type === 'text'
      ? TextPart.validate(u, c)
      : type === 'image_url'
        ? ImagePart.validate(u, c)
        : t.failure(u, c)
  },
  (a) => a,
)

const Message = t.type(
  {
    role: oneOf('system', 'developer', 'user', 'assistant'),
    content: either('a text or a list of parts', text, t.array(Part, 'a list of parts')),
  },
  'a message with role and content',
)

const Body = t.intersection([
  Common,
  t.type({ messages: t.array(Message, 'a list of messages') }),
  t.partial({
    max_completion_tokens: wholeFrom(1),
    logprobs: flag,
    top_logprobs: wholeFrom(0, 20),
    chat_template_kwargs: t.record(t.string, t.unknown, 'an object such as { "enable_thinking": true }'),
  }),
])
type Body = t.TypeOf<typeof Body>

const offered = [
  ...commonNames,
  ...['messages', 'max_completion_tokens', 'logprobs', 'top_logprobs', 'chat_template_kwargs'],
]

/** The bytes of a data URL. */
const imageOf = (url: string, param: string): ChatPart => {
  const head = /^data:[^,]*;base64,/i.exec(url)?.[0]
  const base64 = head === undefined ? '' : url.slice(head.length)
  if (head === undefined || !/^[A-Za-z0-9+/\s]*=*\s*$/.test(base64))
    throw new RequestError(
      400,
      `${param} is no data URL in base64 (data:image/png;base64,…); nothing is fetched from the net or from files`,
      { param },
    )
  return { type: 'image', image: { bytes: Buffer.from(base64, 'base64'), name: param } }
}

const turnOf = ({ role, content }: t.TypeOf<typeof Message>, i: number): ChatTurn => {
  const at = `messages[${i}].content`
  const own = role === 'developer' ? 'system' : role
  if (typeof content === 'string') return { role: own, parts: [{ type: 'text', text: content }] }
  if (own !== 'user' && content.some((p) => p.type === 'image_url'))
    throw new RequestError(400, `${at} has an image, and only a user's may`, { param: at })
  return {
    role: own,
    parts: content.flatMap((part, k): readonly ChatPart[] => {
      if (part.type === 'text') return [{ type: 'text', text: part.text }]
      const url = typeof part.image_url === 'string' ? part.image_url : part.image_url.url
      const image = imageOf(url, `${at}[${k}].image_url`)
      // a newline stands between an image and what comes after it
      return k === content.length - 1 ? [image] : [image, { type: 'text', text: '\n' }]
    }),
  }
}

const turnsOf = ({ messages }: Body): readonly ChatTurn[] => {
  const param = 'messages'
  const last = messages.at(-1)
  if (last === undefined)
    throw new RequestError(400, 'messages is empty; give at least the words of a user', { param })
  if (last.role !== 'user')
    throw new RequestError(
      400,
      `messages ends with a turn of the ${last.role}; give the user's words as the last`,
      { param },
    )
  return messages.map(turnOf)
}

/**
 * The body of a chat as a request.
 *
 * @throws RequestError 400
 */
export const chatAsk = async (body: unknown, to: Offered): Promise<Ask> => {
  const b = decoded(Body, body)
  onlyOffered(body as object, offered)
  const { enable_thinking: think, ...variables } = b.chat_template_kwargs ?? {}
  if (think !== undefined && typeof think !== 'boolean')
    throw new RequestError(400, 'chat_template_kwargs.enable_thinking is neither true nor false', {
      param: 'chat_template_kwargs.enable_thinking',
    })
  if (b.top_logprobs !== undefined && b.logprobs !== true)
    throw new RequestError(400, 'top_logprobs is given without logprobs: true; give both', {
      param: 'top_logprobs',
    })
  const prompt = await chatPrompt(to.processor, 'messages', turnsOf(b), {
    variables,
    ...(think === undefined ? {} : { think }),
  }).catch((e: unknown) => {
    if (e instanceof ChatError || e instanceof ProcessorError || e instanceof ImageError)
      throw new RequestError(400, e.message, {
        param: e instanceof ImageError ? e.image : 'messages',
        cause: e,
      })
    throw e
  })
  const most = roomFor(to, prompt, 'messages', b.max_completion_tokens ?? b.max_tokens)
  return {
    ...{ model: b.model, prompts: [prompt], n: b.n ?? 1, sampling: samplingOf(b, most), seed: seedOf(b) },
    ...{ stops: stopsOf(b), stream: b.stream ?? false, usage: b.stream_options?.include_usage ?? false },
    ids: b.return_token_ids ?? false,
    logProbs: b.logprobs === true ? (b.top_logprobs ?? 0) : undefined,
  }
}
