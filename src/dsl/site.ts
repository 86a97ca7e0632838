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

const frameOf = (stack: string): string => {
  const frames = stack
    .split('\n')
    .slice(1)
    .map((l) => /\(?((?:file:\/\/)?\/?[^()\s]+:\d+:\d+)\)?$/.exec(l)?.[1] ?? '')
    .map((f) => (f.startsWith('file://') ? f.slice('file://'.length) : f))
    .filter((f) => f !== '' && !f.startsWith('node:'))
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
