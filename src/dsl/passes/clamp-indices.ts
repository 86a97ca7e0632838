/** Computed indices brought into range, so that every engine reads and writes the same rows. */
import { binaryOf } from '../elementwise.ts'
import { rewrite, type Tensor } from '../graph.ts'
import { indexUses, takesTarget } from '../index-uses.ts'
import { overBodies } from '../loop.ts'

/**
 * Clamps every index that the graph computes from more than inputs and literals, and that may leave its range, to the
 * nearest one. Left alone an engine fails, wraps around or reads nothing, each its own way.
 *
 * @category passes
 */
export const clampIndices = (given: readonly Tensor[]): readonly Tensor[] => {
  const roots = overBodies(given, clampIndices)
  const computed = new Map(
    indexUses(roots).flatMap((u) => (u.known === 'computed' ? [[u.by, u] as const] : [])),
  )
  if (computed.size === 0) return roots
  return rewrite(roots, (t, before) => {
    const use = computed.get(before)
    if (use === undefined) return t
    const at = before.inputs.indexOf(use.index, takesTarget(before) ? 2 : 0)
    const index = t.inputs[at]!
    const { site } = before
    const clamped = binaryOf('min', binaryOf('max', index, 0, site), use.size - 1, site)
    const inputs = t.inputs.map((x, i) => (i === at ? clamped : x))
    // the definition of a composite reads the same index
    if (takesTarget(before))
      inputs[0] = rewrite([t.inputs[0]!], (x, was) => (was === index ? clamped : x))[0]!
    return { ...t, inputs }
  })
}
