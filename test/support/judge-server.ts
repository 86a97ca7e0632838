/** An HTTP server on loopback that behaves as a judge's endpoint does, well or badly. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A request that came in, as it was sent. */
export interface Sent {
  readonly model: string
  readonly messages: readonly [
    { readonly role: string; readonly content: string },
    {
      readonly role: string
      readonly content: readonly {
        readonly type: string
        readonly text?: string
        readonly image_url?: { readonly url: string }
      }[]
    },
  ]
}

/** How one request is answered. */
export type Answer = (response: ServerResponse, sent: Sent) => void

/** An answer with this text. */
export const saying =
  (text: string | ((sent: Sent) => string)): Answer =>
  (response, sent) => {
    const content = typeof text === 'string' ? text : text(sent)
    response.setHeader('content-type', 'application/json')
    response.end(
      JSON.stringify({
        ...{ id: 'x', object: 'chat.completion', created: 0, model: sent.model },
        choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content } }],
        usage: { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 },
      }),
    )
  }

/** A status without more. */
export const failing =
  (status: number, headers: Readonly<Record<string, string>> = {}): Answer =>
  (response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers })
    response.end('{"error":{"message":"not now"}}')
  }

/** A server that answers its requests one after the other so, the last answer again and again. */
export const judgeServer = async (...answers: readonly Answer[]) => {
  const seen: { readonly sent: Sent; readonly at: number }[] = []
  let most = 0
  let open = 0
  const server = createServer(async (request: IncomingMessage, response) => {
    most = Math.max(most, ++open)
    response.on('close', () => open--)
    let body = ''
    for await (const piece of request) body += piece
    const sent = JSON.parse(body) as Sent
    const answer = answers[Math.min(seen.length, answers.length - 1)]!
    seen.push({ sent, at: performance.now() })
    answer(response, sent)
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as AddressInfo
  return {
    baseURL: `http://127.0.0.1:${port}/v1`,
    seen,
    /** Most requests that were open at once. */
    most: () => most,
    close: () =>
      new Promise<void>((done) => {
        server.closeAllConnections()
        server.close(() => done())
      }),
  }
}
