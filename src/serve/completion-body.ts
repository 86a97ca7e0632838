/** The body of `/v1/completions`: prompts as texts or token ids. */
import * as t from 'io-ts'
import type { Conversation } from '../data/index.ts'
import { type Ask, type Offered, roomFor } from './ask.ts'
import { decoded, text, wholeFrom } from './codecs.ts'
import { RequestError } from './request-error.ts'
import { Common, commonNames, onlyOffered, samplingOf, seedOf, stopsOf } from './settings.ts'

const Ids = t.array(wholeFrom(0), 'a list of token ids')
const Prompt = t.union(
  [text, Ids, t.array(text, 'a list of texts'), t.array(Ids, 'a list of lists of token ids')],
  'a text, a list of token ids, or a list of those',
)
const Body = t.intersection([Common, t.type({ prompt: Prompt }), t.partial({ logprobs: wholeFrom(0, 20) })])

/** Most tokens of an answer where the body does not say, as the protocol has it. */
const usual = 16

const listOf = (prompt: t.TypeOf<typeof Prompt>): readonly (string | readonly number[])[] =>
  typeof prompt === 'string'
    ? [prompt]
    : typeof prompt[0] === 'number'
      ? [prompt as readonly number[]]
      : (prompt as readonly (string | readonly number[])[])

/**
 * The body of a completion as a request. In a prompt that is a text, what spells a special token is that token.
 *
 * @throws RequestError 400
 */
export const completionAsk = async (body: unknown, to: Offered): Promise<Ask> => {
  const b = decoded(Body, body)
  onlyOffered(body as object, [...commonNames, 'prompt', 'logprobs'])
  const prompts = listOf(b.prompt).map((prompt): Conversation => {
    const ids = typeof prompt === 'string' ? to.processor.tokenizer.encode(prompt) : prompt
    return { id: 'prompt', ids, lossMask: ids.map(() => false), promptLength: ids.length, images: [] }
  })
  if (prompts.length === 0)
    throw new RequestError(400, 'prompt is empty; give a text or token ids', { param: 'prompt' })
  const { context } = to.batching.sizes
  const room = Math.min(...prompts.map((p) => context - p.ids.length))
  const asked = b.max_tokens ?? Math.max(1, Math.min(usual, room))
  for (const prompt of prompts) roomFor(to, prompt, 'prompt', asked)
  return {
    ...{ model: b.model, prompts, n: b.n ?? 1, sampling: samplingOf(b, asked), seed: seedOf(b) },
    ...{ stops: stopsOf(b), skipSpecial: b.skip_special_tokens ?? true },
    ...{ stream: b.stream ?? false, usage: b.stream_options?.include_usage ?? false },
    ids: b.return_token_ids ?? false,
    logProbs: b.logprobs,
  }
}
