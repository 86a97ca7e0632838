/** The body of `/v1/chat/completions`. */
import * as t from 'io-ts'
import {
  type ChatPart,
  type ChatTurn,
  chatPrompt,
  ImageError,
  type ImageInput,
  ProcessorError,
  spaced,
} from '../data/index.ts'
import { ChatError } from '../formats/index.ts'
import { present } from '../settings/internal.ts'
import { type Ask, type Offered, roomFor } from './ask.ts'
import { decoded, either, flag, oneOf, text, wholeFrom } from './codecs.ts'
import { RequestError } from './request-error.ts'
import { Common, commonNames, onlyOffered, samplingOf, seedOf, stopsOf } from './settings.ts'

const TextPart = t.type({ type: oneOf('text'), text })
const Url = either('a data URL, or an object with the url', text, t.type({ url: text }))
const ImagePart = t.type({ type: oneOf('image_url'), image_url: Url })
const VideoPart = t.type({ type: oneOf('video_url'), video_url: Url })
const kinds = { text: TextPart, image_url: ImagePart, video_url: VideoPart } as const
type Part = t.TypeOf<(typeof kinds)[keyof typeof kinds]>

/** A part, read by its type, so that what is said of a wrong one is about its own kind. */
const Part: t.Type<Part, unknown> = new t.Type(
  'a part of type text, image_url or video_url',
  (u): u is Part => Object.values(kinds).some((kind) => kind.is(u)),
  (u, c): t.Validation<Part> => {
    const { type } = (u ?? {}) as { readonly type?: unknown }
    return typeof type === 'string' && Object.hasOwn(kinds, type)
      ? kinds[type as keyof typeof kinds].validate(u, c)
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

/** Whether a value asks for something: null and an empty list do not. */
const asksForSomething = (value: unknown): boolean =>
  value != null && !(Array.isArray(value) && value.length === 0)

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

/** The base64 of a data URL: of a video's frames one behind the other, with commas between. */
const dataOf = (
  url: string | { readonly url: string },
  param: string,
  example: string,
): readonly string[] => {
  const text = typeof url === 'string' ? url : url.url
  const [, data] = /^data:[^,]*;base64,([A-Za-z0-9+/\s=,]*)$/i.exec(text) ?? []
  if (data === undefined)
    throw new RequestError(
      400,
      `${param} is no data URL in base64 (data:${example};base64,…); nothing is fetched from the net or from files`,
      { param },
    )
  return data.split(',')
}

/** Bytes under a name for messages. @throws RequestError 400 where they are not in base64 */
const bytesOf = (
  base64: string,
  name: string,
): Exclude<ImageInput, { readonly path: string } | { readonly pixels: unknown }> => {
  if (/=\s*[^=\s]/.test(base64))
    throw new RequestError(400, `${name} is no data URL in base64: its padding is not at the end`, {
      param: name,
    })
  return { bytes: Buffer.from(base64, 'base64'), name }
}

/** An image or a video of a part. A video is a file's bytes, or its frames' as vLLM takes them. */
const shownBy = (part: Exclude<Part, { readonly type: 'text' }>, at: string): ChatPart => {
  const param = `${at}.${part.type}`
  if (part.type === 'image_url') {
    const data = dataOf(part.image_url, param, 'image/png')
    if (data.length > 1)
      throw new RequestError(400, `${param} has ${data.length} images; give each a part of its own`, {
        param,
      })
    return { type: 'image', image: bytesOf(data[0]!, param) }
  }
  const frames = dataOf(part.video_url, param, 'video/mp4').map((base64) => bytesOf(base64, param))
  // one alone may be a whole video; an image is a video of one frame
  return { type: 'video', video: frames.length > 1 ? { frames } : frames[0]! }
}

/** What a message of the protocol may have that no layout here writes. */
const calls = ['tool_calls', 'function_call'] as const

const turnOf = (message: t.TypeOf<typeof Message>, i: number): ChatTurn => {
  const { role, content } = message
  const call = calls.find((key) => asksForSomething((message as Readonly<Record<string, unknown>>)[key]))
  if (call !== undefined)
    throw new RequestError(
      400,
      `messages[${i}].${call} is not offered here, and leaving it out may change the answer; take the turn out of the request`,
      { param: `messages[${i}].${call}`, code: 'unsupported_parameter' },
    )
  const at = `messages[${i}].content`
  const own = role === 'developer' ? 'system' : role
  if (typeof content === 'string') return { role: own, parts: [{ type: 'text', text: content }] }
  const shows = content.find((p) => p.type !== 'text')
  if (own !== 'user' && shows !== undefined)
    throw new RequestError(
      400,
      `${at} has ${shows.type === 'image_url' ? 'an image' : 'a video'}, and only a user's may`,
      { param: at },
    )
  const parts = content.map(
    (part, k): ChatPart => (part.type === 'text' ? part : shownBy(part, `${at}[${k}]`)),
  )
  return { role: own, parts: spaced(parts) }
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
    ...present({ think }),
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
    ...{ stops: stopsOf(b), skipSpecial: b.skip_special_tokens ?? true },
    ...{ stream: b.stream ?? false, usage: b.stream_options?.include_usage ?? false },
    ids: b.return_token_ids ?? false,
    logProbs: b.logprobs === true ? (b.top_logprobs ?? 0) : undefined,
  }
}
