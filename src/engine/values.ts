/**
 * Values at an engine's edge: what both engines check and choose before anything native is called.
 *
 * @since 0.1.0
 */
import { type Either, left, right } from 'fp-ts/lib/Either.js'
import { elements, sizes } from '../dsl/axis.ts'
import type { Dtype, Tensor } from '../dsl/graph.ts'
import { fill } from '../dsl/init.ts'
import type { Program, StateSpec, Variant } from '../dsl/program.ts'
import { type EngineError, engineError } from './error.ts'
import type { TensorValue } from './session.ts'

/** The array that holds a value's elements. */
export type Data = TensorValue['data']

/** A zero-filled array of that dtype. */
export const emptyData = (dtype: Dtype, length: number): Data =>
  dtype === 'float32'
    ? new Float32Array(length)
    : dtype === 'int32'
      ? new Int32Array(length)
      : new Uint8Array(length)

/** Whether the array is the one that the dtype calls for. */
export const holds = (dtype: Dtype, data: unknown): data is Data =>
  dtype === 'float32'
    ? data instanceof Float32Array
    : dtype === 'int32'
      ? data instanceof Int32Array
      : data instanceof Uint8Array

const arrayName = { float32: 'Float32Array', int32: 'Int32Array', bool: 'Uint8Array' } as const

/** The same value over an array of its own. */
export const copyOf = (v: TensorValue): TensorValue => ({
  shape: [...v.shape],
  dtype: v.dtype,
  data: v.data.slice(),
})

/** A value from plain numbers: `tensorValue('float32', [2, 3], [1, 2, 3, 4, 5, 6])`. The length is checked where it is used. */
export const tensorValue = (
  dtype: Dtype,
  shape: readonly number[],
  numbers: Iterable<number>,
): TensorValue => ({
  shape: [...shape],
  dtype,
  data:
    dtype === 'float32'
      ? Float32Array.from(numbers)
      : dtype === 'int32'
        ? Int32Array.from(numbers)
        : Uint8Array.from(numbers),
})

/** A float32 value of rank 0, as learning rates are passed. */
export const scalarValue = (x: number): TensorValue => ({
  shape: [],
  dtype: 'float32',
  data: Float32Array.of(x),
})

/** A state as a fresh run begins with it: its initialiser for float32, zeros for int32 and bool. */
export const freshState = (spec: StateSpec, seed: number): Data =>
  spec.dtype === 'float32'
    ? fill(spec.init, elements(spec.axes), seed, spec.key)
    : emptyData(spec.dtype, elements(spec.axes))

const showShape = (shape: readonly number[]): string => `[${shape.join(', ')}]`

const sameShape = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((n, i) => n === b[i])

const list = (names: Iterable<string>): string => {
  const all = [...names].map((n) => `'${n}'`)
  return all.length === 0 ? 'none' : all.join(', ')
}

/** The variants of a function, or `UnknownFunction` with the names that there are. */
export const functionOf = (program: Program, name: string): Either<EngineError, readonly Variant[]> => {
  const variants = program.functions.get(name)
  return variants === undefined
    ? left(
        engineError(
          'UnknownFunction',
          `program '${program.name}' has no function '${name}'; it has ${list(program.functions.keys())}`,
        ),
      )
    : right(variants)
}

/** What is wrong with one value for a place of this dtype, apart from its shape; undefined where nothing is. */
const valueFault = (what: string, dtype: Dtype, value: TensorValue): string | undefined => {
  if (value.dtype !== dtype) return `${what} is ${value.dtype}; it must be ${dtype}`
  if (!holds(dtype, value.data)) return `${what} is ${dtype} and must come as a ${arrayName[dtype]}`
  const length = value.shape.reduce((n, s) => n * s, 1)
  if (value.data.length !== length)
    return `${what} has ${value.data.length} elements for its shape ${showShape(value.shape)} (${length} elements)`
  return undefined
}

const showInputs = (inputs: ReadonlyMap<string, Tensor>): string =>
  [...inputs].map(([n, t]) => `${n} ${showShape(sizes(t.axes))}`).join(', ') || 'no inputs'

const fits = (variant: Variant, inputs: Readonly<Record<string, TensorValue>>): boolean =>
  [...variant.inputs].every(
    ([n, t]) => inputs[n] !== undefined && sameShape(sizes(t.axes), inputs[n].shape),
  ) && Object.keys(inputs).every((n) => variant.inputs.has(n))

/**
 * The variant of a function whose inputs are those given, in name and shape; then dtypes and lengths are checked.
 *
 * Fails with `UnknownFunction`, `BadInput` (missing, unknown, wrong dtype or length) or `NoVariant`, which lists the
 * compiled sizes.
 */
export const chooseVariant = (
  program: Program,
  name: string,
  inputs: Readonly<Record<string, TensorValue>>,
): Either<EngineError, { readonly variant: Variant; readonly index: number }> => {
  const found = functionOf(program, name)
  if (found._tag === 'Left') return found
  const variants = found.right
  const bad = (why: string) => left(engineError('BadInput', `function '${name}': ${why}`))
  const index = variants.findIndex((v) => fits(v, inputs))
  const variant = variants[index] ?? variants[0]!
  if (index < 0) {
    const given = Object.keys(inputs)
    const named = variants.filter(
      (v) => given.length === v.inputs.size && given.every((n) => v.inputs.has(n)),
    )
    if (named.length === 0) {
      const missing = [...variant.inputs.keys()].filter((n) => inputs[n] === undefined)
      const unknown = given.filter((n) => !variant.inputs.has(n))
      return bad(
        `${[
          ...(missing.length > 0 ? [`missing input ${list(missing)}`] : []),
          ...(unknown.length > 0 ? [`unknown input ${list(unknown)}`] : []),
        ].join(' and ')}; it takes ${list(variant.inputs.keys())}`,
      )
    }
    const shown = Object.entries(inputs).map(([n, v]) => `${n} ${showShape(v.shape)}`)
    return left(
      engineError(
        'NoVariant',
        `function '${name}' is not compiled for ${shown.join(', ')}; compiled: ${named.map((v) => showInputs(v.inputs)).join(' | ')}. Pad to one of these, or declare a bucket of that size`,
      ),
    )
  }
  for (const [n, t] of variant.inputs) {
    const fault = valueFault(`input '${n}'`, t.dtype, inputs[n]!)
    if (fault !== undefined) return bad(fault)
  }
  return right({ variant, index })
}

const unknownState = (program: Program, keys: readonly string[]): EngineError => {
  const all = [...program.states.keys()]
  const some = all.slice(0, 8)
  return engineError(
    'UnknownState',
    `program '${program.name}' has no state ${list(keys)}; it has ${all.length}: ${list(some)}${all.length > some.length ? ', …' : ''}`,
  )
}

/** The declarations of these states, all where no keys are given; `UnknownState` names every key that is none. */
export const statesOf = (
  program: Program,
  keys: readonly string[] = [...program.states.keys()],
): Either<EngineError, readonly StateSpec[]> => {
  const missing = keys.filter((k) => !program.states.has(k))
  return missing.length > 0
    ? left(unknownState(program, missing))
    : right(keys.map((k) => program.states.get(k)!))
}

/** Checks values that are to replace states: `UnknownState`, or `BadInput` for a wrong shape, dtype or length. */
export const checkStates = (
  program: Program,
  values: ReadonlyMap<string, TensorValue>,
): Either<EngineError, ReadonlyMap<string, TensorValue>> => {
  const specs = statesOf(program, [...values.keys()])
  if (specs._tag === 'Left') return specs
  for (const spec of specs.right) {
    const value = values.get(spec.key)!
    const what = `state '${spec.key}'`
    const fault = !sameShape(value.shape, sizes(spec.axes))
      ? `${what} has shape ${showShape(sizes(spec.axes))}, the given value ${showShape(value.shape)}`
      : valueFault(what, spec.dtype, value)
    if (fault !== undefined) return left(engineError('BadInput', fault))
  }
  return right(values)
}
