/**
 * The worker's side of the pool: runs one check at a time, and writes into shared memory when it began and ended, so that
 * nobody takes a late message for late work.
 *
 * @since 0.1.0
 */
import { parentPort, workerData } from 'node:worker_threads'
import { checks } from './checks.ts'

/** A request: a check by name, or the export of a module. */
export interface CheckRequest {
  readonly id: number
  readonly check: string
  /** The address of the module that exports the check; left out: one of the package's own. */
  readonly module?: string
  /** What it is given; left out: the check is found, and not called. */
  readonly input?: unknown
}

/** The reply to a {@link CheckRequest}: what the check gave, or what went wrong. */
export type CheckReply =
  | { readonly id: number; readonly result: unknown; readonly elapsedMs: number }
  | { readonly id: number; readonly error: string; readonly elapsedMs: number }

/** What the shared memory holds: the request in work, whether it has ended, and when it began. */
export interface Clock {
  /** Shape [request, ended]. */
  readonly state: Int32Array
  /** Milliseconds since the epoch. */
  readonly began: Float64Array
}

/** A view of shared memory as a {@link Clock}. */
export const clockOf = (memory: SharedArrayBuffer): Clock => ({
  state: new Int32Array(memory, 0, 2),
  began: new Float64Array(memory, 8, 1),
})

/** Bytes of a {@link Clock}. */
export const clockBytes = 16

/** Milliseconds since the epoch, without jumps. */
export const now = (): number => performance.timeOrigin + performance.now()

const own: Readonly<Record<string, (input: never) => unknown>> = checks

const find = async (request: CheckRequest): Promise<(input: never) => unknown> => {
  if (request.module === undefined) {
    if (Object.hasOwn(own, request.check)) return own[request.check]!
    throw new Error(`there is no check '${request.check}'; there are ${Object.keys(own).join(', ')}`)
  }
  const exported = (await import(request.module)) as Record<string, unknown>
  const found = exported[request.check]
  if (typeof found === 'function') return found as (input: never) => unknown
  throw new Error(
    `${request.module} exports no function '${request.check}'; it exports ${Object.keys(exported).join(', ') || 'nothing'}`,
  )
}

const said = (thrown: unknown): string => {
  try {
    return thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown)
  } catch {
    return 'something that cannot be shown was thrown'
  }
}

const port = parentPort
const memory = (workerData as { readonly clock?: SharedArrayBuffer } | null)?.clock
if (port !== null && memory !== undefined) {
  const { state, began } = clockOf(memory)
  port.on('message', async (request: CheckRequest) => {
    const { id } = request
    let at = now()
    try {
      // loading a module is no part of the work
      const check = await find(request)
      at = now()
      began[0] = at
      Atomics.store(state, 1, 0)
      Atomics.store(state, 0, id)
      const result = 'input' in request ? await check(request.input as never) : true
      Atomics.store(state, 1, 1)
      port.postMessage({ id, result, elapsedMs: now() - at } satisfies CheckReply)
    } catch (thrown) {
      Atomics.store(state, 1, 1)
      port.postMessage({ id, error: said(thrown), elapsedMs: now() - at } satisfies CheckReply)
    }
  })
  port.postMessage('ready')
}
