/** Processes that are measured in turns: each answers a line on stdin with a line of JSON. */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

/** Seconds of one round: by the clock, and of the processor over all threads. */
export interface Round {
  readonly seconds: number
  readonly busySeconds: number
}

/** A process that is asked for rounds. */
export interface Contender<R extends Round, About> {
  readonly name: string
  /** What it said of itself first. */
  readonly about: About
  /** Asks for one; what is given goes with the question, as JSON. */
  readonly round: (asked?: unknown) => Promise<R>
  readonly end: () => void
}

/** Starts a process; undefined where it cannot be started, which is told. */
export const contender = async <R extends Round, About>(
  name: string,
  command: readonly string[],
  threads: number,
): Promise<Contender<R, About> | undefined> => {
  const child = spawn(command[0]!, command.slice(1), {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, OMP_NUM_THREADS: String(threads), TF_NUM_INTRAOP_THREADS: String(threads) },
  })
  let printed = ''
  child.stderr.on('data', (x) => {
    printed = `${printed}${x}`.slice(-2000)
  })
  child.on('error', (e) => {
    printed = e.message
  })
  child.stdin.on('error', () => undefined)
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const reply = async () => {
    const { value, done } = await lines.next()
    if (done) throw new Error(printed)
    return JSON.parse(value)
  }
  try {
    const about = (await reply()) as About
    return {
      ...{ name, about },
      round: async (asked: unknown = 'go'): Promise<R> => {
        child.stdin.write(`${JSON.stringify(asked)}\n`)
        return reply()
      },
      end: () => child.kill(),
    }
  } catch (e) {
    process.stderr.write(`${name} is left out: ${(e as Error).message}\n`)
    return undefined
  }
}

/** Processor seconds that this process has used. */
export const busy = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

/** The middle one. */
export const median = (xs: readonly number[]): number =>
  xs.toSorted((a, b) => a - b)[Math.floor(xs.length / 2)]!
