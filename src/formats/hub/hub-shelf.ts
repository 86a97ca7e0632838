/**
 * The Hugging Face hub, or a mirror of it, as a {@link Shelf}: listing and reading go through `@huggingface/hub`.
 *
 * @since 0.1.0
 */
import { present } from '../../settings/internal.ts'
import { HubError } from './hub-error.ts'
import { type Checksum, type HubRepo, pathOf, type Shelf, type ShelfFile, wordOf } from './shelf.ts'

/** What is asked of a hub. */
export interface HubRequest {
  readonly repo: HubRepo
  readonly endpoint: string
  readonly revision: string
  readonly token?: string
  /** Whether files of folders are listed too. */
  readonly recursive: boolean
  readonly signal: AbortSignal
}

/** Server-side failures that may have passed in a moment. */
const passing = (status: number): boolean => status === 408 || status === 429 || status >= 500

/** What the name of a model that is not found may be. */
const hint = ({ kind }: HubRepo): string => (kind === 'model' ? ' (a data set wants --dataset)' : '')

const refusal = ({ repo, endpoint, token }: HubRequest, response: Response, said: string): HubError => {
  const page = `${endpoint}/${pathOf(repo)}`
  const code = response.headers.get('x-error-code') ?? ''
  const gated = code === 'GatedRepo' || /gated|restricted|awaiting/i.test(said)
  const todo = gated
    ? `ask for access on ${page}, and give a token of that account in HF_TOKEN`
    : token === undefined
      ? `if it is a ${wordOf[repo.kind]}${hint(repo)}, it is private or gated: give a token that may read it in HF_TOKEN`
      : 'the token in HF_TOKEN may not read it: give one of an account that may'
  return new HubError(
    'Refused',
    `${page} is ${gated ? 'gated' : 'not open to everybody, or not there'} (${response.status}${code === '' ? '' : ` ${code}`}): ${todo}`,
  )
}

/** What an answer that is none means. */
const failureOf = async (r: HubRequest, response: Response, what: string): Promise<HubError> => {
  const { status } = response
  const said = (await response.text().catch(() => '')).slice(0, 300)
  if (status === 401 || status === 403) return refusal(r, response, said)
  if (status === 404)
    return new HubError(
      'NotFound',
      response.headers.get('x-error-code') === 'RevisionNotFound'
        ? `${r.endpoint}/${pathOf(r.repo)} has no revision '${r.revision}': look at its branches and tags`
        : `${what}: there is no such thing at ${r.endpoint} (404): check the name, which is <org>/<name>${hint(r.repo)}`,
    )
  return new HubError(
    passing(status) ? 'Cut' : 'Unreachable',
    `${what}: ${r.endpoint} answers ${status}${said === '' ? '' : ` (${said.replace(/\s+/g, ' ').trim()})`}: try again later, or another --endpoint`,
  )
}

const refused = ['ENOTFOUND', 'ECONNREFUSED', 'EAI_AGAIN', 'ENETUNREACH', 'EHOSTUNREACH']

const codeOf = (e: unknown): string => {
  const { code, cause } = e as { readonly code?: unknown; readonly cause?: unknown }
  return typeof code === 'string' ? code : cause === undefined ? '' : codeOf(cause)
}

/** What `fetch` says of a failure that has no code lies at its root: an address of another kind, redirects without an end. */
const rootOf = (e: unknown): string => {
  const { message, cause } = e as { readonly message?: unknown; readonly cause?: unknown }
  return cause instanceof Error ? rootOf(cause) : String(message ?? e)
}

/** Nobody answers, or what answers stops. */
export const networkFailure = (endpoint: string, what: string, e: unknown): HubError => {
  if (e instanceof HubError) return e
  const code = codeOf(e)
  if (code === 'ERR_INVALID_URL')
    return new HubError(
      'BadName',
      `'${endpoint}' is no address of a hub: it begins with http:// or https://`,
      e,
    )
  if (refused.includes(code) || (code === '' && e instanceof TypeError))
    return new HubError(
      'Unreachable',
      `${what}: ${endpoint} cannot be reached (${code === '' ? rootOf(e) : code}): check the network, or name a mirror with --endpoint or a folder with --from`,
      e,
    )
  return new HubError('Cut', `${what}: the connection was cut (${code === '' ? rootOf(e) : code})`, e)
}

/** Answers that make up one listing, at most: a hub tells a thousand files in each. */
const mostPages = 200

/**
 * `fetch` whose failures are this area's errors. The library's own streams pass on no more than a message, so that the last
 * failure is kept.
 */
const watched = (r: HubRequest, what: string, signal: AbortSignal) => {
  let failure: HubError | undefined
  const ask: typeof fetch = async (url, init) => {
    try {
      const response = await fetch(url, { ...init, signal })
      const ranged = new Headers(init?.headers).get('range') !== null
      if (!response.ok) throw await failureOf(r, response, what)
      if (ranged && response.status !== 206) {
        await response.body?.cancel()
        if (response.headers.get('content-type')?.startsWith('text/html') === true)
          throw new HubError(
            'Unreachable',
            `${what}: ${r.endpoint} sends a web page where a file is asked for: look at it in a browser, or name another --endpoint`,
          )
        throw new HubError(
          'BadListing',
          `${what}: ${r.endpoint} sends the whole file where a part is asked for`,
        )
      }
      return response
    } catch (e) {
      failure = networkFailure(r.endpoint, what, e)
      throw failure
    }
  }
  return { ask, failure: () => failure }
}

const checksumOf = (entry: { readonly oid?: string; readonly lfs?: { readonly oid: string } }) => {
  const sum = (kind: Checksum['kind'], hex: string): Checksum => ({ kind, hex: hex.toLowerCase() })
  if (entry.lfs !== undefined) return sum('sha256', entry.lfs.oid.replace(/^sha256:/, ''))
  return entry.oid === undefined ? undefined : sum('git', entry.oid)
}

const lengths = { sha256: 64, git: 40 } as const

/** Opens a model or a data set at the hub: its commit, and what lies there. Throws `HubError`. */
export const hubShelf = async (r: HubRequest): Promise<Shelf> => {
  const { datasetInfo, downloadFile, listFiles, modelInfo } = await import('@huggingface/hub')
  const { endpoint, token, recursive } = r
  const path = pathOf(r.repo)
  const name = `${endpoint}/${path}`
  const repo = { type: r.repo.kind, name: r.repo.name }
  const { ask } = watched(r, path, r.signal)
  let pages = 0
  const turning: typeof fetch = (url, init) => {
    if (++pages > mostPages)
      throw new HubError('BadListing', `${name}: its listing of files has no end: name another --endpoint`)
    return ask(url, init)
  }
  const hub = { hubUrl: endpoint, ...present({ accessToken: token }) }
  const listed = async (): Promise<{ readonly revision: string; readonly files: readonly ShelfFile[] }> => {
    const about = {
      ...hub,
      name: repo.name,
      revision: r.revision,
      additionalFields: ['sha' as const],
      fetch: ask,
    }
    const { sha: revision } = await (repo.type === 'model' ? modelInfo(about) : datasetInfo(about))
    if (typeof revision !== 'string' || !/^[0-9a-f]{40}$/.test(revision))
      throw new HubError('BadListing', `${name}: what answers is no hub: it names no commit`)
    const files: ShelfFile[] = []
    for await (const entry of listFiles({ ...hub, repo, revision, recursive, fetch: turning })) {
      if (entry.type !== 'file') continue
      const sum = checksumOf(entry)
      if (sum === undefined || sum.hex.length !== lengths[sum.kind] || !Number.isSafeInteger(entry.size))
        throw new HubError('BadListing', `${name}: it tells no size and checksum of ${entry.path}`)
      files.push({ path: entry.path, bytes: entry.size, sum })
    }
    return { revision, files }
  }
  const { revision, files } = await listed().catch((e: unknown) => {
    // what came whole and cannot be read is an answer of something else: a page to log in, a proxy's
    if (e instanceof HubError || codeOf(e) !== '' || r.signal.aborted) throw e
    throw new HubError(
      'BadListing',
      `${name}: what answers is no hub (${(e as Error).message}): check the network, or name another --endpoint`,
      e,
    )
  })
  return {
    name,
    revision,
    files,
    read: async function* (file, from, signal) {
      const what = `${path}/${file.path}`
      const { ask: get, failure } = watched(r, what, signal)
      const inside = file.path.split('/').map(encodeURIComponent).join('/')
      const url = `${endpoint}/${path}/resolve/${revision}/${inside}`
      try {
        const blob = await downloadFile({
          ...{ ...hub, repo, path: file.path, revision, fetch: get },
          // plain HTTP, of which any part can be asked for again
          ...{ xet: false, downloadInfo: { url, size: file.bytes, etag: file.sum!.hex } },
        })
        if (blob === null) throw new HubError('NotFound', `${what}: it is not there any more`)
        const stream = (from === 0 ? blob : blob.slice(from)).stream()
        for await (const chunk of stream as unknown as AsyncIterable<Uint8Array>) yield chunk
      } catch (e) {
        throw failure() ?? networkFailure(endpoint, what, e)
      }
    },
  }
}
