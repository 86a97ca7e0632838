/** The main thread's side of an engine's thread: questions, answers, and what it means when the thread ends. */
import { Worker } from 'node:worker_threads'
import { messageOf } from '../error.ts'
import type { Answer, Asked, Kind, Question, Replied } from './protocol.ts'

/** A thread that answers questions in the order in which they are asked. */
export interface Thread {
  /**
   * Rejects with what the thread threw, or once the thread has ended.
   *
   * @param moved buffers that go with the question; here they are empty afterwards
   */
  readonly ask: <K extends Kind>(
    kind: K,
    question: Question<K>,
    moved?: Iterable<ArrayBuffer>,
  ) => Promise<Answer<K>>
  /** Whether it has ended. */
  readonly ended: () => boolean
  /** Ends the thread, whatever it is doing, and resolves once it is gone. */
  readonly end: () => Promise<void>
}

interface Waiting {
  readonly resolve: (answer: unknown) => void
  readonly reject: (cause: Error) => void
}

// Built, the thread's module is JavaScript like this one. From source both are TypeScript, and what loads TypeScript here
// does not reach a new thread, which registers it itself.
const bootstrap = `const { workerData } = require('node:worker_threads')
import(workerData.tsx).then(({ register }) => { register(); return import(workerData.url) })`

const start = (): Worker => {
  const source = import.meta.url.endsWith('.ts')
  const url = new URL(source ? './entry.ts' : './entry.js', import.meta.url)
  return source
    ? new Worker(bootstrap, {
        eval: true,
        workerData: { url: url.href, tsx: import.meta.resolve('tsx/esm/api') },
        execArgv: [],
      })
    : new Worker(url, { execArgv: [] })
}

/** The threads that are computing now. */
const computing = new Set<Promise<unknown>>()

/** Resolves once no thread computes any more: until then the process cannot end but by a signal. */
export const threadsAtRest = async (): Promise<void> => {
  while (computing.size > 0) await Promise.allSettled([...computing])
}

/** Starts a thread. It keeps the process alive only while it owes an answer. */
export const startThread = (): Thread => {
  const worker = start()
  const waiting: Waiting[] = []
  let ended: Error | undefined

  const lost = (why: string): void => {
    ended ??= new Error(`the engine's thread has ended: ${why}`)
    for (const { reject } of waiting.splice(0)) reject(ended)
  }
  worker.on('error', (e) => lost(messageOf(e)))
  worker.on('messageerror', (e) => lost(messageOf(e)))
  worker.on('exit', (code) => lost(`exit code ${code}`))
  worker.on('message', (replied: Replied) => {
    const first = waiting.shift()
    if (waiting.length === 0) worker.unref()
    if ('thrown' in replied) first?.reject(replied.thrown)
    else first?.resolve(replied.answer)
  })
  worker.unref()

  return {
    ask: (kind, question, moved = []) => {
      const answer = new Promise<never>((resolve, reject) => {
        if (ended !== undefined) throw ended
        worker.postMessage({ kind, question } as Asked, [...moved])
        waiting.push({ resolve: resolve as Waiting['resolve'], reject })
        worker.ref()
      })
      computing.add(answer)
      answer.catch(() => undefined).finally(() => computing.delete(answer))
      return answer
    },
    ended: () => ended !== undefined,
    end: async () => {
      await worker.terminate()
    },
  }
}
