/**
 * Lines that a person types, or that a file or a pipe gives.
 *
 * @since 0.1.0
 */
import { createInterface } from 'node:readline'

/** Lines, one by one. */
export interface Lines {
  /** The next line; undefined where there is no more. A terminal shows the prompt. */
  readonly next: (prompt: string) => Promise<string | undefined>
  /** Calls back on each Ctrl-C until it is called off: the program goes on. */
  readonly onInterrupt: (act: () => void) => () => void
  readonly close: () => void
}

/** The lines of a stream. */
export const linesOf = (input: NodeJS.ReadStream, output: NodeJS.WriteStream): Lines => {
  const terminal = input.isTTY === true && output.isTTY === true
  const reader = createInterface({ input, ...(terminal ? { output } : {}), terminal })
  const here: string[] = []
  const acts = new Set<() => void>()
  let waiting: ((line: string | undefined) => void) | undefined
  let ended = false
  const interrupted = (): void => {
    for (const act of acts) act()
  }
  reader.on('line', (line) => {
    const give = waiting
    waiting = undefined
    if (give === undefined) here.push(line)
    else give(line)
  })
  reader.on('close', () => {
    ended = true
    waiting?.(undefined)
  })
  // a terminal that is read key by key gives Ctrl-C as a key, any other as a signal
  reader.on('SIGINT', () => {
    interrupted()
    if (waiting === undefined) return
    // what was typed so far is dropped, as shells do
    reader.write(null, { ctrl: true, name: 'u' })
    reader.prompt()
  })
  process.on('SIGINT', interrupted)
  return {
    next: (prompt) => {
      const line = here.shift()
      if (line !== undefined || ended) return Promise.resolve(line)
      if (terminal) {
        reader.setPrompt(prompt)
        reader.prompt()
      }
      return new Promise((give) => {
        waiting = give
      })
    },
    onInterrupt: (act) => {
      acts.add(act)
      return () => void acts.delete(act)
    },
    close: () => {
      process.removeListener('SIGINT', interrupted)
      reader.close()
    },
  }
}
