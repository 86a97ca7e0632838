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
    return new Client({ baseURL, apiKey: apiKey ?? process.env.OPENAI_API_KEY ?? 'none', ...options })
  }
  let made: Promise<OpenAI> | undefined
  return () => {
    made ??= connect()
    return made
  }
}
