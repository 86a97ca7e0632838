/**
 * The functions beside a loss that compute with the parameters which its transforms add.
 *
 * @since 0.1.0
 */
import { type FunctionSpec, parametersOf, type Results, type Tensor } from '../dsl/index.ts'
import type { GraphTransform } from './transform.ts'

/**
 * Functions as a stage with these transforms runs them: what generates reads the adapters that learn. Transforms that add no
 * parameters change how a loss is computed, and nothing here.
 *
 * Throws (when a function is built) what a transform throws that does not fit the loss.
 *
 * @param loss builds the roots of the loss, which say what is added
 */
export const transformed = (
  functions: Readonly<Record<string, FunctionSpec>>,
  transforms: readonly GraphTransform[],
  loss: () => readonly Tensor[],
): Readonly<Record<string, FunctionSpec>> => {
  if (transforms.every((t) => t.adds === undefined)) return functions
  const rewritten = (): ReadonlyMap<FunctionSpec, readonly Results[]> => {
    const leaves = parametersOf(...transforms.reduce((roots: readonly Tensor[], t) => t.apply(roots), loss()))
    const withAdded = (roots: readonly Tensor[]): readonly Tensor[] =>
      transforms.reduce((some, { adds }) => adds?.within(some, leaves) ?? some, roots)
    const taken = (r: Results): Results => {
      const next = [...(r.next ?? [])]
      const names = Object.keys(r.outputs)
      const made = withAdded([...Object.values(r.outputs), ...next.map(([, t]) => t)])
      return {
        outputs: Object.fromEntries(names.map((name, i) => [name, made[i]!])),
        ...(r.next === undefined
          ? {}
          : { next: new Map(next.map(([key], i) => [key, made[names.length + i]!])) }),
      }
    }
    return new Map(Object.values(functions).map((spec) => [spec, spec.build.map((b) => taken(b()))]))
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
