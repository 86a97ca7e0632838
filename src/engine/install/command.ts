/** Other programs, run with their output as lines. */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

/** How a program ended: its exit status (127 where there is no such program) and its last lines. */
export interface Ended {
  readonly status: number
  /** Standard output and standard error together, the last 200 lines. */
  readonly output: string
}

/** How to run it. */
export interface CommandOptions {
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
  /** Kills the program. */
  readonly signal?: AbortSignal
  /** Sees every line as it comes. */
  readonly onLine?: (line: string) => void
}

/** Runs a program without a shell; fails never, except by the signal's own reason. */
export const runCommand = (
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<Ended> =>
  new Promise((resolve, reject) => {
    const last: string[] = []
    const child = spawn(command, [...args], {
      cwd: options.cwd,
      env: options.env ?? process.env,
      signal: options.signal,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const take = (line: string): void => {
      if (last.push(line) > 200) last.shift()
      options.onLine?.(line)
    }
    for (const stream of [child.stdout, child.stderr]) createInterface({ input: stream }).on('line', take)
    child.on('error', (e) => {
      if (options.signal?.aborted) reject(options.signal.reason)
      else resolve({ status: 127, output: String(e) })
    })
    child.on('close', (code) => {
      if (options.signal?.aborted) reject(options.signal.reason)
      else resolve({ status: code ?? 1, output: last.join('\n') })
    })
  })
