/** A request as the protocol's two kinds come to: prompts, and how they are to be answered. */
import type { Conversation } from '../data/index.ts'
import { CollateError, type Processor } from '../data/index.ts'
import type { Settled } from '../generation/index.ts'
import type { Batching } from './batch.ts'
import { RequestError } from './request-error.ts'

/** A request that can be answered. */
export interface Ask {
  readonly model: string
  /** Answers, in the order of the choices. */
  readonly prompts: readonly Conversation[]
  /** Answers to each prompt. */
  readonly n: number
  readonly sampling: Settled
  readonly seed: number
  readonly stops: readonly string[]
  readonly skipSpecial: boolean
  readonly stream: boolean
  /** Whether a stream ends with how many tokens were used. */
  readonly usage: boolean
  /** Whether token ids are told. */
  readonly ids: boolean
  /** The likeliest tokens told at each place; undefined where no log-probabilities are. */
  readonly logProbs: number | undefined
}

/** What requests are answered with. */
export interface Offered {
  readonly name: string
  readonly processor: Processor
  readonly batching: Batching
}

/** Where a prompt stands in a body. */
type PromptParam = 'messages' | 'prompt'

const tooLong = (param: PromptParam, what: string): RequestError =>
  new RequestError(400, what, { param, code: 'context_length_exceeded' })

/**
 * Sees that a prompt can be read and leaves room for an answer.
 *
 * @param asked most tokens of the answer; undefined for as many as there is room
 * @returns most tokens of the answer
 * @throws RequestError 400
 */
export const roomFor = (
  { batching }: Offered,
  prompt: Conversation,
  param: PromptParam,
  asked: number | undefined,
): number => {
  const { context, images } = batching.sizes
  const length = prompt.ids.length
  if (length === 0) throw new RequestError(400, `${param} is empty; give at least one token`, { param })
  if (length >= context)
    throw tooLong(
      param,
      `${param} has ${length} tokens, and prompt and answer together may have ${context}; shorten it, or serve with a larger context`,
    )
  if (asked !== undefined && length + asked > context)
    throw tooLong(
      param,
      `${param} has ${length} tokens, and max_tokens asks for ${asked} more; together they may have ${context}`,
    )
  if (prompt.images.length > images)
    throw new RequestError(
      400,
      `${param} has ${prompt.images.length} images (each tile and each frame is one), and may have ${images}; show fewer, or serve with more images`,
      { param },
    )
  try {
    batching.check(prompt)
  } catch (e) {
    if (e instanceof CollateError) throw new RequestError(400, `${param}: ${e.message}`, { param, cause: e })
    throw e
  }
  return asked ?? context - length
}
