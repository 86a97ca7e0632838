/**
 * One of those that are measured, seen from the process that measures: a child process that is asked and answers.
 *
 * @since 0.1.0
 */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { EngineName, Precision } from '../engine/index.ts'
import { present } from '../settings/internal.ts'
import { type Reply, type ReplyOf, type Request, replyIn } from './protocol.ts'

/** How to start one of those that are measured. */
export interface Contender {
  /** Its name in the table. */
  readonly name: string
  /** Whether it is one of this project's own engines. */
  readonly own: boolean
  /** The program, then its words; the case's folder is appended. */
  readonly command: readonly [string, ...string[]]
  /** Words after the folder. */
  readonly after?: readonly string[]
  /** Environment beside the one that there is. */
  readonly env?: Readonly<Record<string, string>>
}

/** A started contender. One question at a time. */
export interface Participant {
  /** The answer to being started: which library this is. */
  readonly ready: Promise<ReplyOf<'ready'>>
  /** Asks and waits; rejects with a plain sentence where the process failed or ended. */
  readonly ask: <T extends Reply['type']>(request: Request, answer: T) => Promise<ReplyOf<T>>
  /** Ends the process at once. */
  readonly kill: () => void
}

/** Lines of what a process printed that a message carries along. */
const tailLines = 3

const lastOf = (text: string): string =>
  text
    .trimEnd()
    .split('\n')
    .slice(-tailLines)
    .map((line) => line.trim())
    .join('\n')

/** Starts a contender on a case's folder. */
export const startParticipant = (c: Contender, folder: string): Participant => {
  const [program, ...words] = c.command
  const child = spawn(program, [...words, folder, ...(c.after ?? [])], {
    env: { ...process.env, ...c.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let printed = ''
  let waiting: { readonly give: (r: Reply) => void; readonly refuse: (e: Error) => void } | undefined
  let over: Error | undefined

  const end = (e: Error): void => {
    over ??= e
    waiting?.refuse(over)
    waiting = undefined
  }
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    printed = (printed + text).slice(-8000)
  })
  // what is written to a process that has ended is lost; that it ended is told below
  child.stdin.on('error', () => undefined)
  createInterface({ input: child.stdout }).on('line', (line) => {
    const reply = replyIn(line)
    if (reply === undefined) printed = `${printed}${line}\n`.slice(-8000)
    else if (reply.type === 'failed') end(new Error(reply.message))
    else {
      const asked = waiting
      waiting = undefined
      asked?.give(reply)
    }
  })
  child.on('error', (e: NodeJS.ErrnoException) => {
    end(new Error(e.code === 'ENOENT' ? `there is no program '${program}'` : `${program}: ${e.message}`))
  })
  child.on('close', (code, signal) => {
    const why = printed === '' ? '' : `:\n${lastOf(printed)}`
    end(new Error(`the process ended ${signal === null ? `with code ${code}` : `by ${signal}`}${why}`))
  })

  const expect = <T extends Reply['type']>(type: T): Promise<ReplyOf<T>> =>
    new Promise((resolve, reject) => {
      if (over !== undefined) {
        reject(over)
        return
      }
      waiting = {
        give: (r) =>
          r.type === type
            ? resolve(r as ReplyOf<T>)
            : reject(new Error(`the process answered '${r.type}' where '${type}' was due`)),
        refuse: reject,
      }
    })
  const ready = expect('ready')
  ready.catch(() => undefined)
  return {
    ready,
    ask: (request, type) => {
      const answer = expect(type)
      child.stdin.write(`${JSON.stringify(request)}\n`)
      return answer
    },
    kill: () => {
      child.kill('SIGKILL')
    },
  }
}

/** What an engine is told beside the case. */
export interface EngineWay {
  readonly precision?: Precision
  /** Has XLA compile it; only tensorflow knows that. */
  readonly compile?: 'xla'
  /** Lays the samples of a step into rows that they share. */
  readonly packed?: boolean
}

/** One of this project's engines as a contender. */
export const engineContender = (
  name: EngineName,
  threads: number,
  { precision, compile, packed = false }: EngineWay = {},
): Contender => {
  // built, the process is JavaScript like this file; from source tsx reads both
  const source = import.meta.url.endsWith('.ts')
  const file = fileURLToPath(new URL(source ? './engine-process.ts' : './engine-process.js', import.meta.url))
  return {
    name: [name, ...(compile === undefined ? [] : ['compiled']), ...(packed ? ['packed'] : [])].join(' '),
    own: true,
    command: [process.execPath, ...(source ? ['--import', import.meta.resolve('tsx')] : []), file, name],
    env: {
      TF_NUM_INTRAOP_THREADS: String(threads),
      ...present({ SAILWRIGHT_BENCH_PRECISION: precision, SAILWRIGHT_BENCH_COMPILE: compile }),
      ...(packed ? { SAILWRIGHT_BENCH_PACKED: '1' } : {}),
    },
  }
}
