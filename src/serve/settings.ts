/** What all requests may say of how tokens are drawn and told, and which settings of the protocol are not offered. */
import { randomInt } from 'node:crypto'
import * as t from 'io-ts'
import { type Settled, settled } from '../generation/index.ts'
import { present } from '../settings/internal.ts'
import { either, flag, numberFrom, text, wholeFrom } from './codecs.ts'
import { RequestError } from './request-error.ts'

const most = 64

/** Settings that both kinds of request have. */
export const Common = t.intersection([
  t.type({ model: text }),
  t.partial({
    temperature: numberFrom(0, 100),
    top_p: numberFrom(0, 1),
    top_k: wholeFrom(-1),
    min_p: numberFrom(0, 1),
    repetition_penalty: numberFrom(0.01, 100),
    max_tokens: wholeFrom(1),
    seed: wholeFrom(Number.MIN_SAFE_INTEGER),
    n: wholeFrom(1, most),
    stop: either('a text or a list of texts', text, t.array(text, 'a list of texts')),
    stop_token_ids: t.array(wholeFrom(0), 'a list of token ids'),
    stream: flag,
    stream_options: t.partial({ include_usage: flag }, 'an object such as { "include_usage": true }'),
    return_token_ids: flag,
    skip_special_tokens: flag,
  }),
])
export type Common = t.TypeOf<typeof Common>

/** Settings that do not change an answer here, and are let pass. */
const harmless = [
  ...['user', 'metadata', 'store', 'service_tier', 'safety_identifier', 'prompt_cache_key'],
  ...['parallel_tool_calls', 'prompt_cache_retention'],
]

/** What of settings that are not offered asks for nothing. */
const neutral: Readonly<Record<string, unknown>> = {
  ...{ frequency_penalty: 0, presence_penalty: 0, best_of: 1, echo: false, suffix: '' },
  ...{ tool_choice: 'none', ignore_eos: false, min_tokens: 0 },
}

const asksForNothing = (name: string, value: unknown): boolean =>
  value === null ||
  harmless.includes(name) ||
  (Object.hasOwn(neutral, name) && neutral[name] === value) ||
  (name === 'logit_bias' && typeof value === 'object' && Object.keys(value as object).length === 0) ||
  (name === 'tools' && Array.isArray(value) && value.length === 0) ||
  (name === 'response_format' && (value as { type?: unknown }).type === 'text')

/**
 * Refuses settings that would have changed the answer elsewhere.
 *
 * @throws RequestError 400, which names the first
 */
export const onlyOffered = (body: object, offered: readonly string[]): void => {
  for (const [name, value] of Object.entries(body))
    if (!offered.includes(name) && !asksForNothing(name, value))
      throw new RequestError(
        400,
        `${name} is not offered here, and leaving it out may change the answer; take it out of the request. Offered: ${offered.join(', ')}`,
        { param: name, code: 'unsupported_parameter' },
      )
}

/** The names of the settings of {@link Common}. */
export const commonNames: readonly string[] = Common.types.flatMap(({ props }) => Object.keys(props))

/** How tokens are drawn, as the body says. @throws RequestError 400 */
export const samplingOf = (b: Common, maxNewTokens: number): Settled => {
  if (b.top_p === 0)
    throw new RequestError(400, 'top_p is 0, which leaves no token; give more', { param: 'top_p' })
  return settled({
    maxNewTokens,
    temperature: b.temperature ?? 1,
    // -1 and 0 are vLLM's words for all tokens
    ...(b.top_k === undefined || b.top_k < 1 ? {} : { topK: b.top_k }),
    ...present({ topP: b.top_p, minP: b.min_p, repetitionPenalty: b.repetition_penalty }),
    stopIds: b.stop_token_ids ?? [],
  })
}

/** The seed of a request: its own, else one that is drawn. */
export const seedOf = (b: Common): number => b.seed ?? randomInt(2 ** 31)

/** The texts at which an answer stops. @throws RequestError 400 where one is empty */
export const stopsOf = ({ stop = [] }: Common): readonly string[] => {
  const all = typeof stop === 'string' ? [stop] : stop
  if (all.includes(''))
    throw new RequestError(400, 'stop has an empty text, at which every answer would stop; take it out', {
      param: 'stop',
    })
  return all
}
