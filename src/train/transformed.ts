/**
 * The functions beside a loss that compute with the parameters which its transforms add.
 *
 * @since 0.3.0
 */
import type { FunctionSpec, Results, Tensor } from '../dsl/index.ts'
import type { GraphTransform } from './transform.ts'

/**
 * Functions as a stage with these transforms runs them: what generates reads the adapters that learn. Transforms that add no
 * parameters change how a loss is computed, and nothing here.
 *
 * All functions are rewritten together, so that one of them need not read what a transform is about.
 *
 * Throws (when a function is built) what a transform throws that does not fit.
 */
export const transformed = (
  functions: Readonly<Record<string, FunctionSpec>>,
  transforms: readonly GraphTransform[],
): Readonly<Record<string, FunctionSpec>> => {
  const adding = transforms.filter((t) => t.adds !== undefined)
  if (adding.length === 0) return functions
  const rewritten = (): ReadonlyMap<FunctionSpec, readonly Results[]> => {
    const built = Object.values(functions).map((spec) => ({ spec, results: spec.build.map((b) => b()) }))
    const all = built.flatMap((f) => f.results)
    const roots = all.flatMap((r) => [...Object.values(r.outputs), ...(r.next?.values() ?? [])])
    const made = [...adding.reduce((some: readonly Tensor[], t) => t.apply(some), roots)]
    const taken = (r: Results): Results => ({
      outputs: Object.fromEntries(Object.keys(r.outputs).map((name) => [name, made.shift()!])),
      ...(r.next === undefined
        ? {}
        : { next: new Map([...r.next.keys()].map((key) => [key, made.shift()!])) }),
    })
    return new Map(built.map(({ spec, results }) => [spec, results.map(taken)]))
  }
  let once: ReturnType<typeof rewritten> | undefined
  const results = (): ReturnType<typeof rewritten> => {
    once ??= rewritten()
    return once
  }
  return Object.fromEntries(
    Object.entries(functions).map(([name, spec]) => [
      name,
      { build: spec.build.map((_, i) => () => results().get(spec)![i]!) },
    ]),
  )
}
