/**
 * A model behind OpenAI's protocol, over HTTP.
 *
 * @since 0.1.0
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type * as TE from 'fp-ts/lib/TaskEither.js'
import type { Session } from '../engine/index.ts'
import { onlySettings } from '../settings/index.ts'
import type { Ask, Offered } from './ask.ts'
import type { Batch } from './batch.ts'
import { chatAsk } from './chat-body.ts'
import { completionAsk } from './completion-body.ts'
import { answered, writer } from './endpoint.ts'
import { errorBody, RequestError } from './request-error.ts'

/** What a server is made of. */
export interface ServerOptions extends Offered {
  /** Of a program with the functions of `batching`. It stays open when the server closes. */
  readonly session: Session
  /** Default 8000; 0 takes any that is free. */
  readonly port?: number
  /** Default 127.0.0.1: this machine alone. */
  readonly host?: string
  /** Bytes of a body at most; default 64 MiB. */
  readonly mostBytes?: number
  /** Told what failed inside while a request was answered; default: nobody. */
  readonly onFault?: (e: unknown) => void
}

/** A server that listens. */
export interface Serving {
  /** `http://127.0.0.1:8000/v1`. */
  readonly baseURL: string
  readonly busy: Batch['busy']
  /** Cuts what is under way and listens no more. */
  readonly close: () => Promise<void>
}

/** A server that cannot listen. */
export class ServeError extends Error {
  readonly tag: 'PortInUse' | 'NotAllowed' | 'BadAddress' | 'Failed'
  constructor(tag: ServeError['tag'], message: string, cause: unknown) {
    super(message, { cause })
    this.name = 'ServeError'
    this.tag = tag
  }
}

const cannotListen = (host: string, port: number, e: NodeJS.ErrnoException): ServeError => {
  switch (e.code) {
    case 'EADDRINUSE':
      return new ServeError(
        'PortInUse',
        `port ${port} of ${host} is in use by another program; choose another port, or 0 for any that is free`,
        e,
      )
    case 'EACCES':
      return new ServeError(
        'NotAllowed',
        `port ${port} of ${host} may not be taken; choose one from 1024 on`,
        e,
      )
    case 'ENOTFOUND':
    case 'EADDRNOTAVAIL':
    case 'EAI_AGAIN':
      return new ServeError(
        'BadAddress',
        `${host} is no address of this machine; give 127.0.0.1, or 0.0.0.0 for all of them`,
        e,
      )
    default:
      return new ServeError('Failed', `cannot listen on port ${port} of ${host}: ${e.message}`, e)
  }
}

const json = (res: ServerResponse, status: number, body: object): void => {
  if (res.destroyed) return
  res.writeHead(status, { 'content-type': 'application/json' })
  res.end(JSON.stringify(body))
}

/** Lists and objects within each other that a body may have: what reads it calls itself for each. */
const mostNested = 64

const nestsWithin = (u: unknown, levels: number): boolean =>
  typeof u !== 'object' ||
  u === null ||
  (levels > 0 && Object.values(u).every((v) => nestsWithin(v, levels - 1)))

/** The body of a request as JSON. @throws RequestError 400, 413, 415 */
const bodyOf = async (req: IncomingMessage, most: number): Promise<unknown> => {
  // a web page of another site cannot send this type without being asked first
  if (!/^application\/json\b/i.test(req.headers['content-type'] ?? ''))
    throw new RequestError(
      415,
      `the content type is ${req.headers['content-type'] ?? 'not given'}; send application/json`,
    )
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of req.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += piece.length
    if (bytes > most) throw new RequestError(413, `the body has more than ${most} bytes; send less`)
    pieces.push(piece)
  }
  const body = parsed(Buffer.concat(pieces).toString('utf8'))
  if (!nestsWithin(body, mostNested))
    throw new RequestError(400, `the body nests more than ${mostNested} deep; give it flatter`)
  return body
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch (e) {
    throw new RequestError(400, `the body is no JSON: ${(e as Error).message}`, { cause: e })
  }
}

const noModel = (o: Offered, name: unknown): RequestError =>
  new RequestError(404, `there is no model ${JSON.stringify(name)} here; there is '${o.name}'`, {
    param: 'model',
    code: 'model_not_found',
  })

const names: readonly (keyof ServerOptions)[] = [
  ...(['name', 'processor', 'batching', 'session', 'port', 'host', 'mostBytes', 'onFault'] as const),
]

const modelsPath = '/v1/models'
const kinds = { '/v1/chat/completions': 'chat', '/v1/completions': 'completion' } as const
const kindOf = (pathname: string): 'chat' | 'completion' | undefined =>
  Object.hasOwn(kinds, pathname) ? kinds[pathname as keyof typeof kinds] : undefined

const messageOf = (e: unknown): string =>
  typeof e === 'object' && e !== null && 'message' in e ? String(e.message) : String(e)

/**
 * Offers a model: `/v1/models`, `/v1/chat/completions`, `/v1/completions`. Requests share the rows of the batch; one whose
 * connection is cut gives its rows back. A request that cannot be answered gets 400 with the protocol's error object, an
 * unknown model 404.
 *
 * Fails with ServeError where it cannot listen.
 *
 * @category serving
 */
export const serve = (o: ServerOptions): TE.TaskEither<ServeError, Serving> => {
  const { port = 8000, host = '127.0.0.1', mostBytes = 64 * 2 ** 20 } = onlySettings('serve', o, names)
  const batch = o.batching.open(o.session)
  const described = {
    id: o.name,
    object: 'model',
    created: Math.floor(Date.now() / 1000),
    owned_by: 'sailwright',
  }

  /** Answers into a response; the error of what failed before anything was sent. */
  const answer = (kind: 'chat' | 'completion', ask: Ask, res: ServerResponse): Promise<void> =>
    new Promise((done, fail) => {
      const out = writer(kind, ask, o)
      const say = (value: object | string): void => {
        if (!res.headersSent)
          res.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' })
        res.write(`data: ${typeof value === 'string' ? value : JSON.stringify(value)}\n\n`)
      }
      const parts = answered(ask, o, batch).subscribe({
        next: (part) => {
          const chunk = out.chunk(part)
          if (ask.stream && chunk !== undefined) say(chunk)
        },
        error: fail,
        complete: () => {
          if (ask.stream) {
            if (ask.usage) say(out.usage())
            say('[DONE]')
            res.end()
          } else json(res, 200, out.whole())
          done()
        },
      })
      // also where the connection was cut before there was anything to write
      const cut = (): void => {
        parts.unsubscribe()
        done()
      }
      if (res.destroyed) cut()
      else res.once('close', cut)
    })

  const read = (pathname: string): object | undefined => {
    if (pathname === '/health') return { status: 'ok' }
    if (pathname === modelsPath) return { object: 'list', data: [described] }
    if (!pathname.startsWith(`${modelsPath}/`)) return undefined
    const name = pathname.slice(modelsPath.length + 1)
    if (name !== encodeURIComponent(o.name) && name !== o.name) throw noModel(o, name)
    return described
  }

  const handle = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const pathname = req.url?.split('?')[0] ?? '/'
    const [facts, kind] = [read(pathname), kindOf(pathname)]
    const method = kind === undefined ? 'GET' : 'POST'
    if (facts === undefined && kind === undefined)
      throw new RequestError(
        404,
        `there is no ${pathname} here; there are ${[modelsPath, ...Object.keys(kinds)].join(', ')}`,
      )
    if (req.method !== method) {
      res.setHeader('allow', method)
      throw new RequestError(405, `${pathname} takes ${method}, and not ${req.method}`)
    }
    if (kind === undefined) {
      json(res, 200, facts!)
      return
    }
    const body = await bodyOf(req, mostBytes)
    const { model } = (body ?? {}) as { readonly model?: unknown }
    if (typeof model === 'string' && model !== o.name) throw noModel(o, model)
    const ask = await (kind === 'chat' ? chatAsk : completionAsk)(body, o)
    await answer(kind, ask, res)
  }

  const refuse = (res: ServerResponse, thrown: unknown): void => {
    if (!(thrown instanceof RequestError)) o.onFault?.(thrown)
    const error =
      thrown instanceof RequestError ? thrown : new RequestError(500, `no answer: ${messageOf(thrown)}`)
    if (res.headersSent)
      // a stream that has begun says it in its place
      res.end(`data: ${JSON.stringify(errorBody(error))}\n\n`)
    else {
      // what is left of a body that was too large is not read
      if (error.status === 413) res.setHeader('connection', 'close')
      json(res, error.status, errorBody(error))
    }
  }

  const server = createServer((req, res) => {
    handle(req, res).catch((e) => refuse(res, e))
  })
  return () =>
    new Promise((done) => {
      server.once('error', (e) => done({ _tag: 'Left', left: cannotListen(host, port, e) }))
      server.listen(port, host, () => {
        const { port: taken } = server.address() as AddressInfo
        done({
          _tag: 'Right',
          right: {
            baseURL: `http://${host.includes(':') ? `[${host}]` : host}:${taken}/v1`,
            busy: batch.busy,
            close: () =>
              new Promise<void>((closed) => {
                server.close(() => closed())
                server.closeAllConnections()
              }),
          },
        })
      })
    })
}
