/** What weights a graph has. */
import { elements } from './axis.ts'
import { type Tensor, topological } from './graph.ts'

/**
 * The states that the roots read, by key, in the order of the graph; a key that occurs twice (a tied head) once.
 *
 * @category traversal
 */
export const parametersOf = (...roots: readonly Tensor[]): ReadonlyMap<string, Tensor> => {
  const found = new Map<string, Tensor>()
  for (const t of topological(roots)) if (t.op.op === 'state' && !found.has(t.op.key)) found.set(t.op.key, t)
  return found
}

/** How many numbers these states hold. */
export const countParameters = (states: ReadonlyMap<string, Tensor>): number =>
  [...states.values()].reduce((n, t) => n + elements(t.axes), 0)
