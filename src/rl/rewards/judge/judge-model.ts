/**
 * A judge: a model behind an OpenAI-compatible endpoint (vLLM, SGLang, llama.cpp, a service).
 *
 * @since 0.1.0
 */
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import { atMost } from '../../../async/index.ts'
import { pngDataUrl, type RgbImage } from '../../../data/index.ts'
import { onlySettings } from '../../../settings/index.ts'
import { numberSetting, textSetting, wholeSetting } from '../../../train/index.ts'
import { clientWords, openAiClient, type ServerSettings } from '../../openai-client.ts'
import { contentKey, replyCache } from './cache.ts'

/** Settings of {@link judgeModel}. */
export interface JudgeModelOptions extends ServerSettings {
  /** Milliseconds of one attempt, its answer's body included; default 60,000. */
  readonly timeoutMs?: number
  /** Requests at once; default 8. */
  readonly concurrency?: number
  /** Tokens that a reply may have; default 1,024. */
  readonly maxTokens?: number
  /** Bytes that a reply may have; default 1 MiB. */
  readonly maxBytes?: number
  /** Default 0. */
  readonly temperature?: number
  /** A file that keeps replies from run to run; default: memory alone. A stage refuses one that cannot be written before work begins. */
  readonly cacheFile?: string
}

/** What a judge is asked. */
export interface JudgeQuestion<A> {
  readonly system: string
  readonly user: string
  readonly images: readonly RgbImage[]
  /** The reply, or in words why it is none: then it is asked for once more. */
  readonly decode: (reply: string) => E.Either<string, A>
}

/** What came of a question. */
export type JudgeAnswer<A> =
  | { readonly _tag: 'Replied'; readonly reply: A }
  | { readonly _tag: 'Failed'; readonly why: string; readonly elapsedMs: number }

/** What a judge has cost so far. */
export interface JudgeCounts {
  readonly asked: number
  /** Questions whose reply was there already, or on its way. */
  readonly cached: number
  /** Attempts over HTTP. */
  readonly requests: number
  /** Attempts that were a repetition of one that failed. */
  readonly retried: number
  /** Replies that were not what was asked for. */
  readonly malformed: number
  readonly failed: number
  /** Replies that the cache file did not take, as where the disk was full: the next run asks for them again. */
  readonly unkept: number
  readonly promptTokens: number
  readonly completionTokens: number
}

/** A judge that can be asked. */
export interface JudgeModel {
  readonly config: unknown
  /** Never rejects. */
  readonly ask: <A>(question: JudgeQuestion<A>) => Promise<JudgeAnswer<A>>
  /** Why it cannot be asked at all, such as a cache file that cannot be written; undefined where it can. Default: it can. */
  readonly unusable?: () => Promise<string | undefined>
  readonly counts: () => JudgeCounts
}

/** The whole body, read within the attempt's own time and not beyond `most` bytes. */
const wholeBody = async (response: Response, most: number): Promise<Response> => {
  const pieces: Uint8Array[] = []
  let bytes = 0
  if (response.body !== null)
    for await (const piece of response.body as unknown as AsyncIterable<Uint8Array>) {
      bytes += piece.byteLength
      if (bytes > most) throw new Error(`the reply is longer than ${most} bytes`)
      pieces.push(piece)
    }
  const { status, statusText, headers } = response
  const kept = new Headers(headers)
  kept.delete('content-encoding')
  kept.delete('content-length')
  return new Response(status === 204 ? null : Buffer.concat(pieces), { status, statusText, headers: kept })
}

const names = [
  ...['baseURL', 'model', 'apiKey', 'timeoutMs', 'retries', 'concurrency'],
  ...['maxTokens', 'maxBytes', 'temperature', 'cacheFile'],
]

/**
 * A judge behind an endpoint. A question that was asked before is not asked again. Attempts that fail for a while are made
 * again after growing pauses, or when a `Retry-After` says so (up to a minute). What cannot be answered is `Failed`, and nothing
 * rejects. The `openai` package is loaded with the first question.
 *
 * @throws RecipeError where a setting is none
 * @category judges
 */
export const judgeModel = (o: JudgeModelOptions): JudgeModel => {
  const where = 'judgeModel'
  onlySettings(where, o, names)
  const model = textSetting(where, 'model', o.model)
  const timeoutMs = numberSetting(where, 'timeoutMs', o.timeoutMs ?? 60_000, true)
  const retries = wholeSetting(where, 'retries', o.retries ?? 3, 0)
  const maxTokens = wholeSetting(where, 'maxTokens', o.maxTokens ?? 1_024, 1)
  const maxBytes = wholeSetting(where, 'maxBytes', o.maxBytes ?? 2 ** 20, 1)
  const temperature = numberSetting(where, 'temperature', o.temperature ?? 0)
  const within = atMost(wholeSetting(where, 'concurrency', o.concurrency ?? 8, 1))
  const cache = replyCache(
    o.cacheFile === undefined ? undefined : textSetting(where, 'cacheFile', o.cacheFile),
  )
  const count = { asked: 0, cached: 0, requests: 0, retried: 0, malformed: 0, failed: 0, unkept: 0 }
  const tokens = { prompt: 0, completion: 0 }
  const underWay = new Map<string, Promise<JudgeAnswer<unknown>>>()
  const client = openAiClient(where, o, {
    ...{ timeout: timeoutMs, maxRetries: retries },
    fetch: async (url, init) => {
      count.requests++
      if (new Headers(init?.headers).get('x-stainless-retry-count') !== '0') count.retried++
      return wholeBody(await fetch(url as string, init as RequestInit), maxBytes)
    },
  })

  /** A reply's text, or in words that it has none, as where a model thought until its tokens were used up. */
  const request = async (
    q: JudgeQuestion<unknown>,
    urls: readonly string[],
  ): Promise<E.Either<string, string>> => {
    const reply = await (await client()).chat.completions.create({
      ...{ model, temperature, max_tokens: maxTokens },
      messages: [
        { role: 'system', content: q.system },
        {
          role: 'user',
          content: [
            ...urls.map((url) => ({ type: 'image_url' as const, image_url: { url } })),
            { type: 'text' as const, text: q.user },
          ],
        },
      ],
    })
    tokens.prompt += reply?.usage?.prompt_tokens ?? 0
    tokens.completion += reply?.usage?.completion_tokens ?? 0
    const text = reply?.choices?.[0]?.message?.content
    return typeof text === 'string' ? E.right(text) : E.left("the judge's reply has no message with text")
  }

  const asked = async <A>(
    q: JudgeQuestion<A>,
    key: string,
    urls: readonly string[],
  ): Promise<JudgeAnswer<A>> => {
    const began = performance.now()
    const known = await cache.get(key)
    if (known !== undefined) {
      const decoded = q.decode(known)
      if (E.isRight(decoded)) {
        count.cached++
        return { _tag: 'Replied', reply: decoded.right }
      }
    }
    let why = ''
    try {
      for (let attempt = 0; attempt < 2; attempt++) {
        const read = pipe(
          await within(() => request(q, urls)),
          E.chain((text) =>
            pipe(
              q.decode(text),
              E.map((reply) => ({ text, reply })),
            ),
          ),
        )
        if (E.isRight(read)) {
          if (!(await cache.put(key, read.right.text))) count.unkept++
          return { _tag: 'Replied', reply: read.right.reply }
        }
        count.malformed++
        why = read.left
      }
    } catch (e) {
      why = `the judge at ${o.baseURL} gave no answer: ${clientWords(e)}`
    }
    count.failed++
    return { _tag: 'Failed', why, elapsedMs: performance.now() - began }
  }

  return {
    config: { kind: 'judgeModel', model, temperature, maxTokens },
    ask: async <A>(q: JudgeQuestion<A>): Promise<JudgeAnswer<A>> => {
      count.asked++
      try {
        const urls = await Promise.all(q.images.map(pngDataUrl))
        const key = contentKey({ model, temperature, maxTokens, system: q.system, user: q.user, urls })
        const before = underWay.get(key)
        if (before !== undefined) {
          count.cached++
          return (await before) as JudgeAnswer<A>
        }
        const now = asked(q, key, urls).finally(() => underWay.delete(key))
        underWay.set(key, now)
        return await now
      } catch (e) {
        count.failed++
        return { _tag: 'Failed', why: `the question could not be put: ${clientWords(e)}`, elapsedMs: 0 }
      }
    },
    unusable: cache.unusable,
    counts: () => ({ ...count, promptTokens: tokens.prompt, completionTokens: tokens.completion }),
  }
}
