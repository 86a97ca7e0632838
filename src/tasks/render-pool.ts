/**
 * Rendering ahead of time in worker threads, so that the thread that trains does not wait for images. The items come
 * in the order of their indices and are the same as without workers.
 *
 * @since 0.1.0
 */
import { Worker } from 'node:worker_threads'
import { onlySettings } from '../settings/index.ts'
import type { ItemOf, RenderJob } from './render-job.ts'
import type { ChunkReply, ChunkRequest } from './render-worker.ts'

/** How far ahead, and with how many threads. */
export interface RenderAheadOptions {
  /** The first index; default 0. */
  readonly from?: number
  /** Worker threads; default 1. */
  readonly workers?: number
  /** Items rendered at a time; default 16. */
  readonly chunk?: number
  /** Chunks that are being rendered or wait to be taken, at most; default 3 a worker. */
  readonly ahead?: number
}

/** What went wrong in a worker. */
export class RenderError extends Error {
  readonly tag: 'RenderFailed' | 'WorkerDied'
  /** The index of the item at fault, where it is known. */
  readonly index: number | undefined
  constructor(tag: RenderError['tag'], message: string, index?: number, cause?: unknown) {
    super(message, { cause })
    this.name = 'RenderError'
    this.tag = tag
    this.index = index
  }
}

// Built, the worker is JavaScript like this file. From source both are TypeScript, and tsx's `--import` hook does not
// reach worker threads, so the worker registers it itself first.
const bootstrap = `const { workerData } = require('node:worker_threads')
import(workerData.tsx).then(({ register }) => { register(); return import(workerData.url) })`

/** Threads that nobody needs now: to start one takes longer than many images. */
const idle: Worker[] = []
const mostIdle = 2

const start = (): Worker => {
  const source = import.meta.url.endsWith('.ts')
  const url = new URL(source ? './render-worker.ts' : './render-worker.js', import.meta.url)
  const worker = source
    ? new Worker(bootstrap, {
        eval: true,
        workerData: { url: url.href, tsx: import.meta.resolve('tsx/esm/api') },
        execArgv: [],
      })
    : new Worker(url, { execArgv: [] })
  worker.unref()
  // one that dies when it is idle is missed by nobody
  worker.on('error', () => undefined)
  worker.on('exit', () => {
    if (idle.includes(worker)) idle.splice(idle.indexOf(worker), 1)
  })
  return worker
}

let streams = 0

/**
 * The items of a job from `from` on, endless, in order, rendered ahead by workers. Ending the iteration (`break`,
 * `return()`) stops the workers; an error of any item is thrown when its turn comes, and stops them too. Their threads are
 * kept for the next iteration, two at most. Workers keep the process alive only while an item is waited for.
 *
 * @throws RenderError `RenderFailed` (the message names the index), `WorkerDied`
 */
export const renderAhead = <J extends RenderJob>(
  job: J,
  options: RenderAheadOptions = {},
): AsyncIterableIterator<ItemOf<J>> => {
  const {
    from = 0,
    workers = 1,
    chunk = 16,
    ahead = 3 * workers,
  } = onlySettings('renderAhead', options, ['from', 'workers', 'chunk', 'ahead'])
  for (const [name, value] of Object.entries({ workers, chunk, ahead }))
    if (!Number.isInteger(value) || value < 1)
      throw new RangeError(`renderAhead: ${name} must be a whole number from 1, not ${value}`)
  const stream = ++streams
  const ended = new Int32Array(new SharedArrayBuffer(4))
  /** The threads, each with what ends its work for this stream. */
  const threads: Worker[] = []
  const leave: (() => void)[] = []
  const finished = new Map<number, ChunkReply>()
  let wake: (() => void) | undefined
  let died: RenderError | undefined
  let asked = 0
  let taken = 0
  let closed = false

  const ask = (): void => {
    while (!closed && asked < taken + ahead) {
      const first = from + asked * chunk
      const request: ChunkRequest = { stream, job, chunk: asked, from: first, count: chunk, ended }
      threads[asked % workers]!.postMessage(request)
      asked++
    }
  }
  const open = (): void => {
    for (let n = 0; n < workers; n++) {
      const thread = idle.pop() ?? start()
      const told = (reply: ChunkReply): void => {
        // what an earlier stream had asked for
        if (reply.stream !== stream) return
        finished.set(reply.chunk, reply)
        wake?.()
      }
      const lost = (why: string, cause?: unknown): void => {
        died ??= new RenderError('WorkerDied', `a render worker ended: ${why}`, undefined, cause)
        wake?.()
      }
      const failed = (cause: unknown): void =>
        lost(cause instanceof Error ? cause.message : String(cause), cause)
      const exited = (code: number): void => lost(`exit code ${code}`)
      thread.on('message', told).on('error', failed).on('exit', exited)
      leave.push(() => thread.off('message', told).off('error', failed).off('exit', exited))
      threads.push(thread)
    }
    ask()
  }
  const close = async (): Promise<void> => {
    closed = true
    Atomics.store(ended, 0, 1)
    finished.clear()
    for (const left of leave) left()
    const surplus = threads.filter((thread) => {
      const kept = died === undefined && idle.length < mostIdle
      if (kept) idle.push(thread)
      return !kept
    })
    await Promise.all(surplus.map((thread) => thread.terminate()))
  }
  const reply = async (): Promise<ChunkReply> => {
    if (threads.length === 0) open()
    for (const thread of threads) thread.ref()
    try {
      while (!finished.has(taken)) {
        if (died !== undefined) throw died
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    } finally {
      for (const thread of threads) thread.unref()
    }
    const got = finished.get(taken)!
    finished.delete(taken)
    taken++
    ask()
    return got
  }

  async function* items(): AsyncGenerator<ItemOf<J>> {
    try {
      for (;;) {
        const got = await reply()
        if ('error' in got) {
          const why = got.error instanceof Error ? got.error.message : String(got.error)
          throw new RenderError(
            'RenderFailed',
            `item ${got.index} could not be rendered: ${why}`,
            got.index,
            got.error,
          )
        }
        yield* got.items as readonly ItemOf<J>[]
      }
    } finally {
      await close()
    }
  }
  return items()
}
