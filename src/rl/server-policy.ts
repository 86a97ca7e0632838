/**
 * A server as a policy: vLLM, SGLang, llama.cpp, or whatever else speaks OpenAI's protocol.
 *
 * @since 0.1.0
 */
import { setMaxListeners } from 'node:events'
import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import { PathReporter } from 'io-ts/lib/PathReporter.js'
import { from, mergeMap, Observable } from 'rxjs'
import type { Processor } from '../data/index.ts'
import type { Sampling } from '../generation/index.ts'
import { hash32 } from '../random/index.ts'
import { onlySettings } from '../settings/index.ts'
import { present } from '../settings/internal.ts'
import { RecipeError, wholeSetting } from '../train/index.ts'
import type { Completion } from './completion.ts'
import { clientWords, openAiClient, type ServerSettings } from './openai-client.ts'
import { type Policy, PolicyError, type Request } from './policy.ts'
import { promptMessages } from './prompt-messages.ts'
import { completionTexts } from './token-texts.ts'

/** What a server's policy is made of. */
export interface ServerPolicyOptions extends ServerSettings {
  /** Of the model that the server runs: ids are its tokenizer's. */
  readonly processor: Processor
  /**
   * How prompts and answers travel:
   *
   * - `tokens`: ids there and back (vLLM's `/completions` with `return_token_ids`). Text alone. Answers can be learnt from.
   * - `chat`: the turns of the prompt as messages, with images as data URLs where their tokens stand; a video is its frames.
   *   The server lays them out by its own template. Where it gives no ids back, the answer's text is encoded and the
   *   completion is `reencoded`: fit for judging and measuring, and refused by an update.
   */
  readonly transport: 'tokens' | 'chat'
  /** Updates that the server's weights have seen; default 0. */
  readonly version?: () => number
  /** The run's: each request gets its own from it. Default 0. */
  readonly seed?: number
  /** Requests at once; default 16. */
  readonly concurrency?: number
  /** Milliseconds of one attempt; default 120,000. */
  readonly timeoutMs?: number
}

const names: readonly (keyof ServerPolicyOptions)[] = [
  ...(['baseURL', 'model', 'apiKey', 'processor', 'transport', 'version', 'seed'] as const),
  ...(['concurrency', 'timeoutMs', 'retries'] as const),
]

const Logged = t.array(t.type({ logprob: t.number }))
const Choice = t.intersection([
  t.type({ finish_reason: t.union([t.literal('stop'), t.literal('length'), t.string]) }),
  t.partial({
    text: t.string,
    message: t.type({ content: t.union([t.string, t.null]) }),
    token_ids: t.union([t.array(t.number), t.null]),
    prompt_token_ids: t.union([t.array(t.number), t.null]),
    logprobs: t.union([
      t.null,
      t.partial({ token_logprobs: t.union([t.array(t.number), t.null]), content: t.union([Logged, t.null]) }),
    ]),
  }),
])
const Reply = t.intersection([
  t.type({ choices: t.array(Choice) }),
  t.partial({ prompt_token_ids: t.union([t.array(t.number), t.null]) }),
])

/** 31 bits of a request's own, since servers take one seed a request. */
const seedOf = (seed: number, { task, sample }: Request): number => hash32(`${seed}/${sample}/${task}`) >>> 1

/** The options of sampling as vLLM, SGLang and llama.cpp name them; what is not said is left to the server's neutral value. */
const samplingOf = (s: Sampling): Record<string, number> => ({
  max_tokens: s.maxNewTokens,
  temperature: s.temperature ?? 1,
  top_p: s.topP ?? 1,
  ...present({ top_k: s.topK, min_p: s.minP, repetition_penalty: s.repetitionPenalty }),
})

/**
 * A server as a policy. Log-probabilities are the server's word: vLLM gives those at the temperature where it was started with
 * `--logprobs-mode processed_logprobs`, and those at temperature 1 otherwise.
 *
 * Completions come in the order in which they end. Attempts that fail for a while are made again, with
 * growing pauses and as late as a `Retry-After` asks, up to a minute; unsubscribing cuts every request that is under way.
 *
 * The stream's error is a {@link PolicyError} that names its task: `BadRequest` where the server refuses a request, or the
 * transport cannot carry it; `Failed` where no attempt was answered, or an answer is not what was asked for (no JSON, no
 * token ids, more tokens than `maxNewTokens`, no log-probabilities).
 *
 * @throws RecipeError where a setting is none
 * @category policies
 */
export const serverPolicy = (o: ServerPolicyOptions): Policy => {
  const where = 'serverPolicy'
  onlySettings(where, o, names)
  const { concurrency = 16, timeoutMs = 120_000, retries = 3, seed = 0, processor } = o
  if (typeof o.model !== 'string' || o.model === '')
    throw new RecipeError(where, 'model', "it is empty; give the model's name on the server")
  if (o.transport !== 'tokens' && o.transport !== 'chat')
    throw new RecipeError(where, 'transport', `it is '${String(o.transport)}'; give 'tokens' or 'chat'`)
  wholeSetting(where, 'concurrency', concurrency, 1)
  wholeSetting(where, 'timeoutMs', timeoutMs, 1)
  wholeSetting(where, 'retries', retries, 0)
  const client = openAiClient(where, o, { timeout: timeoutMs, maxRetries: retries })
  const version = o.version ?? (() => 0)

  const bodyOf = async (r: Request, sampling: Sampling): Promise<Record<string, unknown>> => {
    const common = { model: o.model, seed: seedOf(seed, r), return_token_ids: true, ...samplingOf(sampling) }
    if (o.transport === 'tokens') {
      if (r.prompt.images.length > 0)
        throw new PolicyError(
          'BadRequest',
          `task ${r.task}: its prompt has images, and token ids carry none; use the transport 'chat'`,
          { task: r.task },
        )
      return { ...common, prompt: r.prompt.ids.slice(0, r.prompt.promptLength), logprobs: 0 }
    }
    const { messages, think } = await promptMessages(processor, r.prompt).catch((e: unknown) => {
      throw new PolicyError(
        'BadRequest',
        `task ${r.task}: ${e instanceof Error ? e.message : String(e)}; the transport 'chat' sends messages`,
        { task: r.task, cause: e },
      )
    })
    return {
      ...{ ...common, logprobs: true, messages },
      ...(think === undefined ? {} : { chat_template_kwargs: { enable_thinking: think } }),
    }
  }

  const completionOf = (r: Request, sampling: Sampling, answer: unknown): Omit<Completion, 'version'> => {
    const failed = (what: string): PolicyError =>
      new PolicyError('Failed', `task ${r.task}, sample ${r.sample}: ${what}`, { task: r.task })
    const reply = Reply.decode(answer)
    if (E.isLeft(reply))
      throw failed(
        `the server's answer is none that the protocol has: ${PathReporter.report(reply).slice(0, 2).join('; ')}`,
      )
    const [choice] = reply.right.choices
    if (choice === undefined) throw failed('the server gave no choice')
    const text = choice.text ?? choice.message?.content ?? ''
    const given = choice.token_ids ?? undefined
    if (given === undefined && o.transport === 'tokens')
      throw failed(
        'the server gave no token ids back; it must know return_token_ids (vLLM 0.10 does), or use the transport chat to measure only',
      )
    // a text lacks the token that ends a turn
    const stopped = choice.finish_reason !== 'length'
    const ids = given ?? [...processor.tokenizer.encode(text), ...(stopped ? [processor.end] : [])]
    const logged =
      choice.logprobs?.token_logprobs ?? choice.logprobs?.content?.map((c) => c.logprob) ?? undefined
    if (ids.length > sampling.maxNewTokens)
      throw failed(
        `the server gave ${ids.length} tokens, and ${sampling.maxNewTokens} were asked for at most`,
      )
    if (given !== undefined && logged?.length !== ids.length)
      throw failed(`the server gave ${logged?.length ?? 'no'} log-probabilities for ${ids.length} tokens`)
    const ended = ids.at(-1) === processor.end
    return {
      ...{ task: r.task, sample: r.sample, ids },
      promptIds:
        choice.prompt_token_ids ??
        reply.right.prompt_token_ids ??
        r.prompt.ids.slice(0, r.prompt.promptLength),
      logProbs: logged?.length === ids.length ? logged : ids.map(() => Number.NaN),
      text: processor.tokenizer.decode(ended ? ids.slice(0, -1) : ids),
      texts: completionTexts(processor.tokenizer, ids, ended),
      stop: stopped ? 'end' : 'length',
      ...(given === undefined ? { reencoded: true as const } : {}),
    }
  }

  return {
    config: { kind: 'server', model: o.model, transport: o.transport, seed },
    version,
    sample: (requests, sampling) =>
      new Observable<Completion>((to) => {
        const cut = new AbortController()
        // each request listens to it
        setMaxListeners(0, cut.signal)
        const begunAt = version()
        const asked = async (r: Request): Promise<Completion> => {
          const body = await bodyOf(r, sampling)
          const path = o.transport === 'tokens' ? '/completions' : '/chat/completions'
          const answer = await (await client())
            .post<unknown>(path, { body, signal: cut.signal })
            .catch((e: unknown) => {
              const { status, message } = e as { readonly status?: number; readonly message?: string }
              if (e instanceof SyntaxError)
                throw new PolicyError(
                  'Failed',
                  `task ${r.task}, sample ${r.sample}: the server's answer is no JSON: ${message}`,
                  {
                    task: r.task,
                    cause: e,
                  },
                )
              const refused =
                status !== undefined && status >= 400 && status < 500 && ![408, 409, 429].includes(status)
              throw new PolicyError(
                refused ? 'BadRequest' : 'Failed',
                `task ${r.task}, sample ${r.sample}: ${refused ? 'the server refuses it' : `no answer after ${retries + 1} attempts`}: ${clientWords(e)}`,
                { task: r.task, cause: e },
              )
            })
          return { ...completionOf(r, sampling, answer), version: begunAt }
        }
        const under = from(requests).pipe(mergeMap(asked, concurrency)).subscribe(to)
        return () => {
          cut.abort()
          under.unsubscribe()
        }
      }),
  }
}
