/** The command in this process, in a folder of the test's, with streams that collect. */
import { join } from 'node:path'
import type { Io } from '../../src/cli/command.ts'
import { main } from '../../src/cli/main.ts'

/** How a command ended, and what it wrote. */
export interface Ended {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** Runs commands in a folder, or elsewhere as `more` says. */
export const commandIn =
  (root: string) =>
  async (words: readonly string[], more: Partial<Io> = {}): Promise<Ended> => {
    const [out, err]: [string[], string[]] = [[], []]
    const code = await main(words, {
      stdout: { write: (t) => out.push(t) },
      stderr: { write: (t) => err.push(t) },
      env: { XDG_CACHE_HOME: join(root, 'cache') },
      cwd: root,
      onInterrupt: () => () => undefined,
      ...more,
    })
    return { code, out: out.join(''), err: err.join('') }
  }

/** Runs commands in a folder in which this process is meanwhile: experiments may name what lies there. */
export const commandAt =
  (folder: string) =>
  async (words: readonly string[]): Promise<Ended> => {
    const before = process.cwd()
    process.chdir(folder)
    try {
      return await commandIn(folder)(words)
    } finally {
      process.chdir(before)
    }
  }
