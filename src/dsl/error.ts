/** What can go wrong while a graph is built. One tagged union; every message says what, where, and what to do. */
import type { Site } from './site.ts'

/** The tags of {@link GraphError}. */
export type GraphErrorTag =
  | 'UnknownAxis'
  | 'SizeMismatch'
  | 'DuplicateAxis'
  | 'BadDtype'
  | 'BadShape'
  | 'BadArgument'
  | 'KeyConflict'
  | 'NotDifferentiable'

/** An axis as an error knows it. */
interface NamedSize {
  readonly name: string
  readonly size: number
}

/** An error of the language: thrown while a graph is built, and never later. */
export class GraphError extends Error {
  readonly tag: GraphErrorTag
  /** `file:line:column` in the user's own code. */
  readonly where: string
  /** The axes that the message speaks of. */
  readonly axes: readonly NamedSize[]
  constructor(tag: GraphErrorTag, message: string, site: Site, axes: readonly NamedSize[] = []) {
    super(site.line === '' ? message : `${message}\n  at ${site.line}`)
    this.name = 'GraphError'
    this.tag = tag
    this.where = site.line
    this.axes = axes
  }
}
