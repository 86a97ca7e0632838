/** A server with the routes of the Hugging Face hub that fetching uses, and with the faults of real ones. */
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A request that the server saw: `GET /org/name/resolve/…/model.safetensors bytes=10-`. */
export interface Seen {
  readonly path: string
  readonly range: string | undefined
  readonly token: string | undefined
}

/** What it does wrong. */
export interface Faults {
  /** Bytes of a file's content after which the connection is cut, one number a request for the file. */
  readonly cuts?: Readonly<Record<string, number[]>>
  /** Files whose bytes are not what the listing says, and how often. */
  readonly corrupt?: Record<string, number>
  /** Whole files where a part is asked for. */
  readonly noRanges?: boolean
  /** The answer to every request of the kind, with this header as the hub's reason. */
  readonly status?: {
    readonly of: 'info' | 'file'
    readonly code: number
    readonly reason?: string
    times: number
  }
  /** What it sends in place of every answer of the kind: a page of a proxy, an object of something else; or a redirect to the same place. */
  readonly instead?: {
    readonly of: 'info' | 'list' | 'file'
    readonly body: string
    readonly redirect?: true
  }
  /** The listing has another page, always. */
  readonly endless?: true
  /** Sends this many bytes of a file, and then nothing more. */
  readonly stalls?: Record<string, number>
}

/** A hub that runs. */
export interface HubServer {
  readonly endpoint: string
  readonly seen: readonly Seen[]
  readonly close: () => Promise<void>
}

/** The commit that the branch `main` is at. */
export const commit = 'ab12'.repeat(10)

const large = (path: string): boolean => path.endsWith('.safetensors')
const sha256 = (b: Buffer): string => createHash('sha256').update(b).digest('hex')
const gitSum = (b: Buffer): string => createHash('sha1').update(`blob ${b.length}\0`).update(b).digest('hex')

/** Serves one model or data set. Large files are sent by another route, to which the hub redirects, as the hub's are. */
export const hubServer = async (
  repo: string,
  files: ReadonlyMap<string, Buffer>,
  faults: Faults = {},
  kind: 'model' | 'dataset' = 'model',
): Promise<HubServer> => {
  const at = kind === 'model' ? repo : `datasets/${repo}`
  const seen: Seen[] = []
  const json = (res: ServerResponse, value: unknown, headers: Record<string, string> = {}): void => {
    res.writeHead(200, { 'content-type': 'application/json', ...headers })
    res.end(JSON.stringify(value))
  }
  const fail = (res: ServerResponse, code: number, reason?: string): void => {
    res.writeHead(code, {
      'content-type': 'application/json',
      ...(reason === undefined ? {} : { 'x-error-code': reason }),
    })
    res.end(JSON.stringify({ error: 'as asked' }))
  }
  const faulty = (of: 'info' | 'file', res: ServerResponse): boolean => {
    const { status } = faults
    if (status?.of !== of || status.times-- <= 0) return false
    fail(res, status.code, status.reason)
    return true
  }
  const replaced = (of: 'info' | 'list' | 'file', req: IncomingMessage, res: ServerResponse): boolean => {
    const { instead } = faults
    if (instead?.of !== of) return false
    res.writeHead(instead.redirect ? 302 : 200, {
      'content-type': instead.body.startsWith('<') ? 'text/html; charset=utf-8' : 'application/json',
      ...(instead.redirect ? { location: req.url! } : {}),
    })
    res.end(instead.body)
    return true
  }
  const send = (req: IncomingMessage, res: ServerResponse, path: string): void => {
    const whole = files.get(path)!
    const content = Buffer.from(whole)
    if (faults.corrupt !== undefined && (faults.corrupt[path] ?? 0) > 0) {
      faults.corrupt[path]!--
      content[0]! ^= 1
    }
    const asked = /^bytes=(\d+)-(\d*)$/.exec(req.headers.range ?? '')
    const ranged = asked !== null && faults.noRanges !== true
    const from = ranged ? Number(asked[1]) : 0
    const to = ranged && asked[2] !== '' ? Number(asked[2]) + 1 : content.length
    const part = content.subarray(from, to)
    res.writeHead(ranged ? 206 : 200, {
      ...{ 'content-length': part.length, etag: `"${sha256(whole)}"`, 'accept-ranges': 'bytes' },
      ...(ranged ? { 'content-range': `bytes ${from}-${to - 1}/${content.length}` } : {}),
    })
    const cut = faults.cuts?.[path]?.shift()
    const stall = faults.stalls?.[path]
    if (cut !== undefined) res.write(part.subarray(0, cut), () => setTimeout(() => res.destroy(), 20))
    else if (stall !== undefined) {
      delete faults.stalls![path]
      res.write(part.subarray(0, stall))
    } else res.end(part)
  }
  const tree = [...files].map(([path, b]) => ({
    ...{ type: 'file', path, size: b.length, oid: gitSum(large(path) ? Buffer.from('a pointer') : b) },
    ...(large(path) ? { lfs: { oid: sha256(b), size: b.length, pointerSize: 130 } } : {}),
  }))
  const server = createServer((req, res) => {
    const { pathname: path, searchParams } = new URL(req.url!, 'http://hub')
    seen.push({ path, range: req.headers.range, token: req.headers.authorization })
    const [info, list] = [`/api/${kind}s/${repo}/revision/`, `/api/${kind}s/${repo}/tree/${commit}`]
    if (path.startsWith(info)) {
      if (faulty('info', res) || replaced('info', req, res)) return
      const rev = path.slice(info.length)
      if (rev !== 'main' && rev !== commit) fail(res, 404, 'RevisionNotFound')
      else
        json(res, { _id: '1', id: repo, sha: commit, private: false, downloads: 0, likes: 0, gated: false })
    } else if (path === list) {
      if (replaced('list', req, res)) return
      // two pages, as of a folder with many files
      const [first, half] = [searchParams.get('cursor') === null, Math.ceil(tree.length / 2)]
      const next = `<http://${req.headers.host}${list}?cursor=2>; rel="next"`
      json(
        res,
        first ? tree.slice(0, half) : faults.endless ? [] : tree.slice(half),
        first || faults.endless ? { link: next } : {},
      )
    } else if (path.startsWith(`/${at}/resolve/${commit}/`) || path.startsWith('/large/')) {
      const name = decodeURIComponent(path.replace(`/${at}/resolve/${commit}/`, '').replace('/large/', ''))
      if (!files.has(name)) fail(res, 404, 'EntryNotFound')
      else if (faulty('file', res) || (large(name) && replaced('file', req, res))) return
      else if (large(name) && !path.startsWith('/large/')) {
        res.writeHead(302, { location: `/large/${name}` })
        res.end()
      } else send(req, res, name)
    } else fail(res, 404, 'RepoNotFound')
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    close: () =>
      new Promise((done) => {
        server.closeAllConnections()
        server.close(() => done())
      }),
  }
}
