/**
 * Where in the user's own code something was written: messages point there and not into the library.
 *
 * A site is one of few: all that is written at one place shares one, so that a graph of any size keeps no stacks. The
 * library's own layers and functions build {@link inside} the site of their caller, and look at no stack at all.
 */
import { sep } from 'node:path'
import { fileURLToPath } from 'node:url'

/** A place in a source file, put into words only when somebody asks for it. */
export interface Site {
  /** `experiment.ts:12:7`, or `''` where the stack does not say. */
  readonly line: string
}

/** A function that stands on the stack. */
type Builder = (...args: never[]) => unknown

const libraryUrl = new URL('..', import.meta.url).href
const libraryPath = fileURLToPath(libraryUrl)

/** How far up the stack the user's own code is looked for: anywhere, or only here where what is around has a site. */
const [anywhere, here] = [100, 12] as const

/** The file that a frame is in, where it is the user's. */
const usersFile = (frame: NodeJS.CallSite): string | undefined => {
  const file = frame.getFileName()
  return file != null &&
    !file.startsWith('node:') &&
    !file.startsWith(libraryUrl) &&
    !file.startsWith(libraryPath) &&
    !file.includes('/node_modules/') &&
    !file.includes(`${sep}node_modules${sep}`)
    ? file
    : undefined
}

/** Takes the stack below a function in so many frames; what formats stacks in this process stays as it is. */
const capture = <A>(below: Builder, limit: number, format: typeof Error.prepareStackTrace): A => {
  const before = { limit: Error.stackTraceLimit, format: Error.prepareStackTrace }
  const trace: { stack?: A } = {}
  Error.stackTraceLimit = limit
  if (format !== before.format) Error.prepareStackTrace = format
  Error.captureStackTrace(trace, below)
  const { stack } = trace
  Error.stackTraceLimit = before.limit
  if (format !== before.format) Error.prepareStackTrace = before.format
  return stack as A
}

const asFrames = (_: Error, frames: NodeJS.CallSite[]): NodeJS.CallSite[] => frames

/** `path:line:column` of one line of a stack, `''` where it names no file. */
const placeOf = (line: string): string => {
  const at = (/ \((.+:\d+:\d+)\)$/.exec(line) ?? /^\s*at (?:async )?(.+:\d+:\d+)$/.exec(line))?.[1] ?? ''
  if (!at.startsWith('file://')) return at.startsWith('node:') ? '' : at
  const [, url, place] = /^(.+?)((?::\d+){2})$/.exec(at)!
  return `${fileURLToPath(url!)}${place}`
}

/** The sites by the place in the program that runs, which source maps have not led back to its source yet. */
const sites = new Map<string, Site>()

/** The user's place nearest below a function, in at most so many frames. */
const nearest = (below: Builder, limit: number): Site | undefined => {
  const frames = capture<readonly NodeJS.CallSite[] | undefined>(below, limit, asFrames) ?? []
  for (let i = 0; i < frames.length; i++) {
    const frame = frames[i]!
    const file = usersFile(frame)
    if (file === undefined) continue
    const place = `${file}:${frame.getLineNumber()}:${frame.getColumnNumber()}`
    const had = sites.get(place)
    if (had !== undefined) return had
    // once a place: what formats this process's stacks knows the source maps
    const stack = capture<unknown>(below, i + 1, Error.prepareStackTrace)
    const lines = typeof stack === 'string' ? stack.split('\n').filter((l) => /^\s+at /.test(l)) : []
    const site = { line: placeOf(lines[i] ?? '') || placeOf(`at ${place}`) }
    sites.set(place, site)
    return site
  }
  return undefined
}

/** Where what is built now belongs, and whether that is all that its site says. */
interface Around {
  readonly site: Site
  readonly shared: boolean
}
let around: Around | undefined

const within = <A>(now: Around | undefined, build: () => A): A => {
  const before = around
  around = now
  try {
    return build()
  } finally {
    around = before
  }
}

/**
 * Builds with one site for all that the library's own builders make meanwhile, at no cost for each. An error that one of
 * them throws still points to the user's line nearest to it.
 */
export const inside = <A>(site: Site, build: () => A): A => within({ site, shared: true }, build)

/** Builds by a function that is the user's: each builder that it calls has its own site, and this one where none is found. */
export const asUser = <A>(site: Site, build: () => A): A => within({ site, shared: false }, build)

/** A site that is another's, but for as long as its builder is on the stack. */
class Inside implements Site {
  readonly #below: Builder
  readonly #site: Site
  constructor(below: Builder, site: Site) {
    this.#below = below
    this.#site = site
  }
  get line(): string {
    return (nearest(this.#below, anywhere) ?? this.#site).line
  }
  get outer(): Site {
    return this.#site
  }
}

/** The site as it reads once its builder has returned, found without a look at the stack. */
export const settledSite = (site: Site): Site => (site instanceof Inside ? settledSite(site.outer) : site)

/** A site that the stack did not tell. */
export const nowhere: Site = { line: '' }

/**
 * The place in the user's own code that called `below`, a function on the stack.
 *
 * @example
 * const double = (x: Tensor): Tensor => composite('double', {}, add(x, x), [x], siteOf(double))
 */
export const siteOf = (below: Builder): Site => {
  if (around?.shared === true) return new Inside(below, around.site)
  const direct = nearest(below, 1)
  if (direct !== undefined) return direct
  return nearest(below, around === undefined ? anywhere : here) ?? around?.site ?? nowhere
}
