/**
 * A session as a policy: completions drawn on this machine, by the weights that it holds.
 *
 * @since 0.1.0
 */
import { Observable } from 'rxjs'
import type { Conversation, Processor } from '../data/index.ts'
import type { FunctionSpec } from '../dsl/index.ts'
import type { Session } from '../engine/index.ts'
import {
  type Answer,
  type Decoding,
  type DecodingSizes,
  decoding,
  neverDrawn,
  settled,
  uniforms,
} from '../generation/index.ts'
import type { CausalLm } from '../models/index.ts'
import type { Seed } from '../random/index.ts'
import { onlySettings } from '../settings/index.ts'
import type { Completion } from './completion.ts'
import { type Policy, PolicyError, type Request } from './policy.ts'
import { completionTexts } from './token-texts.ts'

/** What a session's policy is made of. */
export interface SessionPolicyOptions {
  /** Of a program with {@link policyFunctions} of the same model, processor and sizes. */
  readonly session: Session
  readonly model: CausalLm
  readonly processor: Processor
  readonly sizes: DecodingSizes
  /** The run's; with task, sample and token it decides what is drawn. */
  readonly seed: Seed
  /** Updates that the session's weights have seen; asked when a prompt is read. */
  readonly version: () => number
}

type Parts = Pick<SessionPolicyOptions, 'model' | 'processor' | 'sizes'>

/** Why a prompt is longer than a policy reads; undefined where it is not, or where it ends behind its own end. */
export const tooLong = (prompt: Conversation, sizes: DecodingSizes): string | undefined =>
  prompt.promptLength > sizes.prompt && prompt.promptLength <= prompt.ids.length
    ? `its prompt has ${prompt.promptLength} tokens, and the policy reads ${sizes.prompt}; raise the policy's prompt, or leave such tasks out (prompts(…, { tokens: ${sizes.prompt} }) sets long rows aside)`
    : undefined

const decodingOf = (o: Parts): Decoding => decoding(o.model, o.processor, o.sizes, { name: 'policy' })

/**
 * The functions that a program needs so that its session is a policy. Their cache is state that belongs to no checkpoint.
 *
 * @throws ProcessorError where the processor does not make what the model reads
 */
export const policyFunctions = (o: Parts): Readonly<Record<string, FunctionSpec>> => decodingOf(o).functions

const messageOf = (e: unknown): string => (e instanceof Error ? e.message : String(e))

/**
 * A session as a policy. All requests are looked at before the first call; prompts are read in their order, and completions
 * come in the order in which they end. A token that stands for an image is never drawn, nor one that the tokenizer lacks.
 *
 * The stream's error is a {@link PolicyError}: `BadRequest` where a prompt does not fit the sizes, or leaves no room for
 * `maxNewTokens`, naming its task; `Failed` where the session fails or the model's logits are no numbers. Bad settings of
 * `sampling` are thrown at once.
 *
 * @throws ProcessorError where the processor does not make what the model reads
 * @category policies
 */
export const sessionPolicy = (o: SessionPolicyOptions): Policy => {
  onlySettings('sessionPolicy', o, ['session', 'model', 'processor', 'sizes', 'seed', 'version'])
  const d = decodingOf(o)
  const never = neverDrawn(o)
  /** `looked`: the prompts that were, of which samples of one task share one. */
  const checked = ({ task, prompt }: Request, most: number, looked: Set<Conversation>): void => {
    const long = tooLong(prompt, d.sizes)
    if (long !== undefined) throw new PolicyError('BadRequest', `task ${task}: ${long}`, { task })
    try {
      if (!looked.has(prompt)) d.check([prompt])
      looked.add(prompt)
    } catch (e) {
      throw new PolicyError('BadRequest', `task ${task}: ${messageOf(e)}`, { task, cause: e })
    }
    const room = d.sizes.capacity - prompt.promptLength
    if (room < most)
      throw new PolicyError(
        'BadRequest',
        `task ${task}: its prompt has ${prompt.promptLength} tokens and the cache ${d.sizes.capacity}, which leaves ${room} for an answer of maxNewTokens ${most}; raise sizes.capacity`,
        { task },
      )
  }
  const completion = (r: Request, { ids, logProbs, ended, version }: Answer<number>): Completion => {
    const written = ended ? ids.slice(0, -1) : ids
    return {
      task: r.task,
      sample: r.sample,
      promptIds: r.prompt.ids.slice(0, r.prompt.promptLength),
      ids,
      logProbs,
      text: written.length === 0 ? '' : o.processor.tokenizer.decode(written),
      texts: completionTexts(o.processor.tokenizer, ids, ended),
      stop: ended ? 'end' : 'length',
      version,
    }
  }
  return {
    config: { kind: 'session', seed: o.seed, ...(d.config as object) },
    version: o.version,
    sample: (requests, given) => {
      const sampling = settled(given)
      return new Observable((subscriber) => {
        const follow = async (): Promise<void> => {
          try {
            const looked = new Set<Conversation>()
            for (const r of requests) checked(r, sampling.maxNewTokens, looked)
            const asked = requests.map((r) => ({
              prompt: r.prompt,
              uniforms: uniforms(o.seed, r.task, r.sample),
            }))
            const stopped = (): boolean => subscriber.closed
            const all = d.answers(o.session, asked, { sampling, version: o.version, never, stopped })
            for await (const a of all) subscriber.next(completion(requests[a.index]!, a))
            subscriber.complete()
          } catch (e) {
            subscriber.error(
              e instanceof PolicyError ? e : new PolicyError('Failed', messageOf(e), { cause: e }),
            )
          }
        }
        void follow()
      })
    },
  }
}
