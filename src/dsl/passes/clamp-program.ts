/** Computed indices of a whole program brought into range. */
import type { Program, Variant } from '../program.ts'
import { clampIndices } from './clamp-indices.ts'
import { lazily, madeOnce } from './optimise.ts'

const clampVariant = (v: Variant): Variant => {
  const names = Object.keys(v.outputs)
  const keys = [...v.next.keys()]
  const before = [...names.map((n) => v.outputs[n]!), ...v.next.values()]
  const roots = clampIndices(before)
  if (roots === before) return v
  return {
    ...v,
    outputs: Object.fromEntries(names.map((n, i) => [n, roots[i]!])),
    next: new Map(keys.map((k, i) => [k, roots[names.length + i]!])),
  }
}

const clamped = madeOnce((v) => lazily(v, () => clampVariant(v)))

/**
 * {@link clampIndices} for each variant of each function, when it is first read.
 *
 * @category passes
 */
export const clampProgram = (p: Program): Program => ({
  ...p,
  functions: new Map([...p.functions].map(([name, variants]) => [name, variants.map(clamped)])),
})
