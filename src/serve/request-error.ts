/**
 * A request that is not answered, as OpenAI's protocol says it.
 *
 * @since 0.1.0
 */

/** Why a request is not answered. */
export class RequestError extends Error {
  /** Of HTTP. */
  readonly status: number
  /** What of the body is at fault: `messages[0].content`. */
  readonly param: string | undefined
  /** A word for programs, such as `model_not_found`. */
  readonly code: string | undefined
  constructor(
    status: number,
    message: string,
    {
      param,
      code,
      cause,
    }: { readonly param?: string; readonly code?: string; readonly cause?: unknown } = {},
  ) {
    super(message, { cause })
    this.name = 'RequestError'
    this.status = status
    this.param = param
    this.code = code
  }
}

/** The body of the reply to such a request. */
export const errorBody = ({ status, message, param, code }: RequestError) => ({
  error: {
    message,
    type: status >= 500 ? 'server_error' : status === 404 ? 'not_found_error' : 'invalid_request_error',
    param: param ?? null,
    code: code ?? null,
  },
})
