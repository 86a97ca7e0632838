/**
 * Servers that speak OpenAI's protocol, asked by its own client, whose package is loaded with the first question.
 *
 * @since 0.1.0
 */
import type { OpenAI } from 'openai'
import { RecipeError } from '../train/index.ts'

/** Which model of which server is asked. */
export interface ServerSettings {
  /** Such as `http://localhost:8000/v1`. */
  readonly baseURL: string
  /** The model's name there. */
  readonly model: string
  /** Default: the environment's `OPENAI_API_KEY`, or none. */
  readonly apiKey?: string
  /** Further attempts after one that timed out, was cut, or got 408, 409, 429 or 500 and above; default 3. */
  readonly retries?: number
}

/** Milliseconds for which a server may ask to be left alone. One that asks for more is tried again after the client's own pauses. */
const longestPause = 60_000

/** A response without a `Retry-After` that asks for too long a pause: the client would do what it says, for a day if need be. */
const soon = (response: Response): Response => {
  const { headers } = response
  const after = headers.get('retry-after') ?? ''
  const ms = Number(headers.get('retry-after-ms') ?? Number.NaN)
  const asked = Number.isNaN(ms) ? Number(after) * 1000 : ms
  const pause = Number.isNaN(asked) ? Date.parse(after) - Date.now() : asked
  if (Number.isNaN(pause) || pause <= longestPause) return response
  const { body, status, statusText } = response
  const kept = new Headers(headers)
  kept.delete('retry-after')
  kept.delete('retry-after-ms')
  return new Response(body, { status, statusText, headers: kept })
}

/** What the client threw, in words, with what it rests on: that a connection was refused stands two causes deep. */
export const clientWords = (thrown: unknown): string => {
  const words: string[] = []
  for (
    let e = thrown;
    e !== undefined && e !== null && words.length < 4;
    e = (e as { readonly cause?: unknown }).cause
  ) {
    const { code, message } = e as { readonly code?: unknown; readonly message?: unknown }
    // where a name has several addresses, the refusals of all are one error without a message
    const said = message === undefined ? String(e) : String(message || (code ?? ''))
    if (said !== '' && !words.some((w) => w.includes(said))) words.push(said.replace(/\.$/, ''))
  }
  return words.join(': ')
}

/** The client of a server, made when it is first asked for. @throws RecipeError where there is no address */
export const openAiClient = (
  where: string,
  { baseURL, apiKey }: Pick<ServerSettings, 'baseURL' | 'apiKey'>,
  options: Pick<NonNullable<ConstructorParameters<typeof OpenAI>[0]>, 'timeout' | 'maxRetries' | 'fetch'>,
): (() => Promise<OpenAI>) => {
  if (!/^https?:\/\//.test(baseURL))
    throw new RecipeError(
      where,
      'baseURL',
      `it is '${baseURL}'; give an address such as http://localhost:8000/v1`,
    )
  const connect = async (): Promise<OpenAI> => {
    const { OpenAI: Client } = await import('openai')
    const { fetch: fetched = fetch, ...rest } = options
    return new Client({
      ...{ baseURL, apiKey: apiKey ?? process.env.OPENAI_API_KEY ?? 'none', ...rest },
      fetch: async (url, init) => soon(await fetched(url as string, init as RequestInit)),
    })
  }
  let made: Promise<OpenAI> | undefined
  return () => {
    made ??= connect()
    return made
  }
}
