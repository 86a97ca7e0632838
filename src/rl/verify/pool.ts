/**
 * A pool of worker threads in which untrusted text is verified: what hangs, eats memory or ends its thread is a value.
 *
 * @since 0.1.0
 */
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { onlySettings } from '../../settings/index.ts'
import { numberSetting, wholeSetting } from '../../train/index.ts'
import { timeLimit } from '../time-limit.ts'
import { type CheckReply, type CheckRequest, type Clock, clockBytes, clockOf, now } from './worker.ts'

/** Settings of a {@link VerifierPool}. */
export interface VerifierPoolOptions {
  /** Threads at most; each starts when it is first needed. Default: one less than there are cores, from 1 to 4. */
  readonly workers?: number
  /** Milliseconds that one check may take, from when it begins; default 2,000. */
  readonly timeoutMs?: number
  /** Mebibytes that a thread may use; default 256. */
  readonly memoryMb?: number
}

/** What came of a check. */
export type Outcome =
  | { readonly _tag: 'Done'; readonly result: unknown; readonly elapsedMs: number }
  | { readonly _tag: 'Failed'; readonly why: string; readonly elapsedMs: number }

/** A check: by name one of the package's own, or a function that a module exports. */
export interface CheckCall {
  readonly check: string
  /** The address (`file:`) of a JavaScript module. */
  readonly module?: string
  /** Plain data, which is copied; left out: the check is found, its module loaded, and it is not called. */
  readonly input?: unknown
}

/** What a pool has done so far. */
export interface PoolCounts {
  readonly done: number
  /** Checks that threw or gave what cannot be copied. */
  readonly threw: number
  readonly timedOut: number
  /** Threads that ended by themselves, out of memory for one. */
  readonly died: number
  /** Threads that were started. */
  readonly started: number
}

/** Runs checks in threads of its own. */
export interface VerifierPool {
  readonly timeoutMs: number
  /** Never rejects. Time in the queue does not count. */
  readonly run: (call: CheckCall) => Promise<Outcome>
  readonly counts: () => PoolCounts
  /** Ends the threads; what waits or runs is `Failed`. */
  readonly close: () => Promise<void>
}

interface Job extends CheckCall {
  readonly id: number
  readonly done: (outcome: Outcome) => void
}

interface Thread {
  readonly worker: Worker
  readonly clock: Clock
  ready: boolean
  job: Job | undefined
  sent: number
  /** Ends the waiting. */
  stop: () => void
}

/** Milliseconds that a thread may take to begin: to start, or to load a module. */
const patience = 60_000

// From source the worker is TypeScript, and tsx's hook does not reach worker threads, so the worker registers it first.
const bootstrap = `const { workerData } = require('node:worker_threads')
import(workerData.tsx).then(({ register }) => { register(); return import(workerData.url) })`

const start = (clock: SharedArrayBuffer, memoryMb: number): Worker => {
  const source = import.meta.url.endsWith('.ts')
  const url = new URL(source ? './worker.ts' : './worker.js', import.meta.url)
  const limits = {
    resourceLimits: { maxOldGenerationSizeMb: memoryMb, maxYoungGenerationSizeMb: 32, stackSizeMb: 4 },
  }
  const quiet = { stdout: true, stderr: true }
  const worker = source
    ? new Worker(bootstrap, {
        ...{ ...limits, ...quiet, eval: true, execArgv: [] },
        workerData: { clock, url: url.href, tsx: import.meta.resolve('tsx/esm/api') },
      })
    : new Worker(url, { ...limits, ...quiet, execArgv: [], workerData: { clock } })
  worker.unref()
  return worker
}

/**
 * A pool of threads. Each takes one check at a time; one that takes too long is ended with its thread, and the next check
 * gets a new one. Threads keep the process alive only while a check is waited for.
 *
 * @throws RecipeError where a setting is none
 * @category verifiers
 */
export const verifierPool = (options: VerifierPoolOptions = {}): VerifierPool => {
  onlySettings('verifierPool', options, ['workers', 'timeoutMs', 'memoryMb'])
  const where = 'verifierPool'
  const cores = Math.min(4, Math.max(1, availableParallelism() - 1))
  const workers = wholeSetting(where, 'workers', options.workers ?? cores, 1)
  const timeoutMs = numberSetting(where, 'timeoutMs', options.timeoutMs ?? 2_000, true)
  const memoryMb = wholeSetting(where, 'memoryMb', options.memoryMb ?? 256, 16)
  const threads = new Set<Thread>()
  const queue: Job[] = []
  const count = { done: 0, threw: 0, timedOut: 0, died: 0, started: 0 }
  let ids = 0
  let head = 0
  let closed = false

  const settle = (thread: Thread, outcome: Outcome): void => {
    const { job } = thread
    if (job === undefined) return
    thread.stop()
    thread.job = undefined
    thread.worker.unref()
    job.done(outcome)
  }
  const drop = (thread: Thread): void => {
    threads.delete(thread)
    thread.worker.terminate().catch(() => {})
  }
  const watch = (thread: Thread, inMs: number): void => {
    thread.stop = timeLimit(inMs, () => late(thread))
  }
  /** The time is over, on this thread's clock; what counts is the worker's. */
  const late = (thread: Thread): void => {
    const { job, clock } = thread
    if (job === undefined) return
    const begun = Atomics.load(clock.state, 0) === job.id
    // the work has ended in time or late, but it has ended: its message is on the way
    if (begun && Atomics.load(clock.state, 1) === 1) {
      watch(thread, timeoutMs)
      return
    }
    const elapsedMs = now() - (begun ? clock.began[0]! : thread.sent)
    const limit = begun ? timeoutMs : patience
    if (elapsedMs < limit) {
      watch(thread, Math.max(1, Math.min(limit - elapsedMs, timeoutMs)))
      return
    }
    count.timedOut++
    const why = begun ? `it took longer than ${timeoutMs} ms` : `it did not begin within ${patience} ms`
    settle(thread, { _tag: 'Failed', why, elapsedMs })
    drop(thread)
    next()
  }
  const give = (thread: Thread, job: Job): void => {
    thread.job = job
    thread.sent = now()
    thread.worker.ref()
    if (thread.ready) send(thread)
    else watch(thread, timeoutMs)
  }
  const send = (thread: Thread): void => {
    const { done, ...request } = thread.job!
    thread.stop()
    try {
      thread.worker.postMessage(request satisfies CheckRequest)
      watch(thread, timeoutMs)
    } catch (e) {
      count.threw++
      settle(thread, {
        _tag: 'Failed',
        why: `its input cannot be copied: ${(e as Error).message}`,
        elapsedMs: 0,
      })
      next()
    }
  }
  const open = (): Thread => {
    const memory = new SharedArrayBuffer(clockBytes)
    const worker = start(memory, memoryMb)
    const thread: Thread = {
      ...{ worker, clock: clockOf(memory), ready: false, job: undefined, sent: 0, stop: () => {} },
    }
    count.started++
    threads.add(thread)
    worker.on('message', (reply: CheckReply | 'ready') => {
      if (reply === 'ready') {
        thread.ready = true
        if (thread.job !== undefined) send(thread)
        return
      }
      if (reply.id !== thread.job?.id) return
      const { elapsedMs } = reply
      if ('error' in reply) {
        count.threw++
        settle(thread, { _tag: 'Failed', why: reply.error, elapsedMs })
      } else {
        count.done++
        settle(thread, { _tag: 'Done', result: reply.result, elapsedMs })
      }
      next()
    })
    const gone = (why: string): void => {
      if (!threads.delete(thread)) return
      count.died++
      const began =
        Atomics.load(thread.clock.state, 0) === thread.job?.id ? thread.clock.began[0]! : thread.sent
      settle(thread, { _tag: 'Failed', why: `its thread ended: ${why}`, elapsedMs: now() - began })
      next()
    }
    worker.on('error', (e) => gone(e instanceof Error ? e.message : String(e)))
    worker.on('exit', (code) => gone(`exit code ${code}`))
    return thread
  }
  const next = (): void => {
    while (!closed && head < queue.length) {
      const idle =
        [...threads].find((t) => t.job === undefined) ?? (threads.size < workers ? open() : undefined)
      if (idle === undefined) return
      const job = queue[head]!
      head++
      give(idle, job)
    }
    if (head === queue.length) {
      queue.length = 0
      head = 0
    }
  }
  return {
    timeoutMs,
    run: (call) =>
      new Promise((done) => {
        if (closed) return done({ _tag: 'Failed', why: 'the pool is closed', elapsedMs: 0 })
        queue.push({ ...call, id: ++ids, done })
        next()
      }),
    counts: () => ({ ...count }),
    close: async () => {
      closed = true
      const waiting = queue.splice(0).slice(head)
      for (const job of waiting) job.done({ _tag: 'Failed', why: 'the pool was closed', elapsedMs: 0 })
      const open = [...threads]
      threads.clear()
      for (const thread of open) settle(thread, { _tag: 'Failed', why: 'the pool was closed', elapsedMs: 0 })
      await Promise.all(open.map((thread) => thread.worker.terminate()))
    },
  }
}

let shared: VerifierPool | undefined

/** The pool that rewards use where none is named; it is made when it is first needed. */
export const sharedPool = (): VerifierPool => {
  shared ??= verifierPool()
  return shared
}
