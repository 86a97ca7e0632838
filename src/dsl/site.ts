/**
 * Where in the user's own code something was written: messages point there and not into the library.
 */
import { dirname, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

/** A place in a source file, found only when somebody asks for it. */
export interface Site {
  /** `experiment.ts:12:7`, or `''` where the stack does not say. */
  readonly line: string
}

const library = dirname(dirname(fileURLToPath(import.meta.url))) + sep

/** `path:line:column` of one line of a stack, `''` where it names no file. */
const placeOf = (line: string): string => {
  const at = (/ \((.+:\d+:\d+)\)$/.exec(line) ?? /^\s*at (?:async )?(.+:\d+:\d+)$/.exec(line))?.[1] ?? ''
  if (!at.startsWith('file://')) return at.startsWith('node:') ? '' : at
  const [, url, place] = /^(.+?)((?::\d+){2})$/.exec(at)!
  return `${fileURLToPath(url!)}${place}`
}

const frameOf = (stack: string): string => {
  const frames = stack
    .split('\n')
    .slice(1)
    .map(placeOf)
    .filter((f) => f !== '')
  return (
    frames.find((f) => !f.startsWith(library) && !f.includes(`${sep}node_modules${sep}`)) ?? frames[0] ?? ''
  )
}

class CallSite implements Site {
  readonly #trace: { stack?: string }
  #line: string | undefined
  constructor(below: (...args: never[]) => unknown) {
    const limit = Error.stackTraceLimit
    Error.stackTraceLimit = 40
    this.#trace = {}
    Error.captureStackTrace(this.#trace, below)
    Error.stackTraceLimit = limit
  }
  get line(): string {
    this.#line ??= frameOf(this.#trace.stack ?? '')
    return this.#line
  }
}

/** The place that called `below`; cheap to take, because the stack is read only on demand. */
export const siteOf = (below: (...args: never[]) => unknown): Site => new CallSite(below)
