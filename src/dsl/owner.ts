/**
 * Which layer declares which parameter while layers are applied, so that two layers never share a weight unnoticed.
 *
 * While one outermost layer is applied, a key belongs to one layer value. The same value may declare it again: applied
 * twice, it is one set of weights. Another value may not, unless it is `tied`.
 */
import { GraphError } from './error.ts'
import type { Tensor } from './graph.ts'
import type { Site } from './site.ts'

/** A layer value at work, once: the same value applied again is another worker. */
export interface Worker {
  readonly layer: object
  readonly kind: string
  /** Where the value was made. */
  readonly site: Site
}

/** One application of an outermost layer. */
interface Application {
  /** Who declared a key, outermost layer first. */
  readonly owners: Map<string, readonly Worker[]>
  readonly workers: readonly Worker[]
  readonly tied: boolean
}

let current: Application | undefined

const within = <A>(a: Application, build: () => A): A => {
  const before = current
  current = a
  try {
    return build()
  } finally {
    current = before
  }
}

/** Builds inside the application that is under way, or begins one. */
export const application = <A>(build: () => A): A =>
  current === undefined ? within({ owners: new Map(), workers: [], tied: false }, build) : build()

/** Builds one layer's output; what it declares meanwhile is its own. */
export const working = <A>(w: Worker, build: () => A): A =>
  application(() => within({ ...current!, workers: [...current!.workers, w] }, build))

/** Builds with parameters that may be another layer's. */
export const sharing = <A>(build: () => A): A => application(() => within({ ...current!, tied: true }, build))

/** The outermost layer values by the parameter leaf that they declared. */
const declarers = new WeakMap<Tensor, Worker>()

const conflict = (key: string, first: Worker, second: Worker): GraphError =>
  new GraphError(
    'KeyConflict',
    `the parameter '${key}' is declared by two layers, which would share it unnoticed: ${first.kind} (made at ${first.site.line}) and ${second.kind}; give each a scope of its own with at('…'). Where one weight is meant, use one layer value twice, or put tied around the second`,
    second.site,
  )

/**
 * Notes that the layer at work declares a parameter.
 *
 * @throws GraphError `KeyConflict` where another layer value of this application did
 */
export const declare = (key: string, leaf: Tensor): void => {
  if (current === undefined || current.tied || current.workers.length === 0) return
  const { owners, workers } = current
  declarers.set(leaf, workers[0]!)
  const had = owners.get(key)
  if (had === undefined) {
    owners.set(key, workers)
    return
  }
  const i = workers.findIndex((w, n) => w !== had[n])
  if (i < 0 && workers.length === had.length) return
  const [a, b] = i < 0 ? [had[workers.length]!, workers.at(-1)!] : [had[i] ?? had.at(-1)!, workers[i]!]
  if (a.layer !== b.layer) throw conflict(key, a, b)
}

/**
 * Checks leaves of one key that were declared in different applications. Whole models may be built again and again, and
 * mean the same weights; a key without a scope, as `weight`, says nothing of what it belongs to, and is one layer's own.
 *
 * @throws GraphError `KeyConflict`
 */
export const sameOwner = (key: string, first: Tensor, second: Tensor): void => {
  const [a, b] = [declarers.get(first), declarers.get(second)]
  if (a !== undefined && b !== undefined && a.layer !== b.layer && !key.includes('.'))
    throw conflict(key, a, b)
}
