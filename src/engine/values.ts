/**
 * Values at an engine's edge: what both engines check and choose before anything native is called.
 *
 * @since 0.1.0
 */
import { type Either, left, right } from 'fp-ts/lib/Either.js'
import {
  type Data,
  type Dtype,
  elements,
  fill,
  type Program,
  type StateSpec,
  sizes,
  type Tensor,
  type Variant,
} from '../dsl/index.ts'
import { arrayOf } from '../dsl/internal.ts'
import { kindOf, SettingsError } from '../settings/index.ts'
import { type EngineError, engineError } from './error.ts'
import type { Snapshot, TensorValue } from './session.ts'

/** Whether the array is the one that the dtype calls for. */
export const holds = (dtype: Dtype, data: unknown): data is Data => data instanceof arrayOf[dtype]

/** A value from plain numbers: `tensorValue('float32', [2, 3], [1, 2, 3, 4, 5, 6])`. The length is checked where it is used. */
export const tensorValue = (
  dtype: Dtype,
  shape: readonly number[],
  numbers: Iterable<number>,
): TensorValue => {
  if (!Array.isArray(shape))
    throw new SettingsError('tensorValue', 'shape', `it is ${kindOf(shape)}; give a list of sizes`)
  if (typeof numbers?.[Symbol.iterator] !== 'function')
    throw new SettingsError('tensorValue', 'numbers', `it is ${kindOf(numbers)}; give a list of numbers`)
  return { shape: [...shape], dtype, data: arrayOf[dtype].from(numbers) }
}

/** A float32 value of rank 0, as learning rates are passed. */
export const scalarValue = (x: number): TensorValue => ({
  shape: [],
  dtype: 'float32',
  data: Float32Array.of(x),
})

/** The number that fills a fresh state, where it is one number; undefined where it is drawn from a seed. */
export const repeated = ({ init }: StateSpec): number | undefined => {
  if (init.kind === 'zeros') return 0
  if (init.kind === 'ones') return 1
  return init.kind === 'constant' ? init.value : undefined
}

/** A state as a fresh run begins with it: what its initialiser gives. @throws SettingsError where it is no state */
export const freshState = (spec: StateSpec, seed: number): Data => {
  if (typeof spec?.init?.kind !== 'string')
    throw new SettingsError('freshState', 'spec', `it is ${kindOf(spec)}; give a state of a program`)
  const size = elements(spec.axes)
  const all = repeated(spec)
  return all === undefined ? fill(spec.init, size, seed, spec.key) : new arrayOf[spec.dtype](size).fill(all)
}

const showShape = (shape: readonly number[]): string => `[${shape.join(', ')}]`

/** Whether two shapes are one. */
export const sameShape = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((n, i) => n === b[i])

const list = (names: Iterable<string>): string => {
  const all = [...names].map((n) => `'${n}'`)
  return all.length === 0 ? 'none' : all.join(', ')
}

/** Fails with `BadInput` where something is no program. `where` names what was given it. */
export const checkProgram = (where: string, program: Program): Either<EngineError, Program> =>
  program?.functions instanceof Map && program.states instanceof Map
    ? right(program)
    : left(
        engineError(
          'BadInput',
          `${where}: the program is ${kindOf(program)}; give what program(…) of 'sailwright/dsl' makes`,
        ),
      )

/** The variants of a function, or `UnknownFunction` with the names that there are. */
export const functionOf = (program: Program, name: string): Either<EngineError, readonly Variant[]> => {
  const is = checkProgram(`function '${String(name)}'`, program)
  if (is._tag === 'Left') return is
  const variants = program.functions.get(name)
  return variants === undefined
    ? left(
        engineError(
          'UnknownFunction',
          `program '${program.name}' has no function '${String(name)}'; it has ${list(program.functions.keys())}`,
        ),
      )
    : right(variants)
}

/** What something is that is no value; undefined where it is one. */
const kindFault = (value: unknown): string | undefined => {
  if (value === null || typeof value !== 'object')
    return `is ${value === null || value === undefined ? String(value) : `a ${typeof value}`}`
  const { shape, data } = value as Partial<TensorValue>
  if (!Array.isArray(shape) || !shape.every((n) => Number.isSafeInteger(n) && n >= 0))
    return 'has no shape (an array of sizes)'
  return ArrayBuffer.isView(data) ? undefined : 'has no data (a typed array)'
}

/** What is wrong with one value for a place of this dtype and shape; undefined where nothing is. */
const valueFault = (what: string, dtype: Dtype, value: TensorValue): string | undefined => {
  if (value.dtype !== dtype) return `${what} is ${String(value.dtype)}; it must be ${dtype}`
  if (!holds(dtype, value.data)) return `${what} is ${dtype} and must come as a ${arrayOf[dtype].name}`
  const length = value.shape.reduce((n, s) => n * s, 1)
  if (value.data.length !== length)
    return `${what} has ${value.data.length} elements for its shape ${showShape(value.shape)} (${length} elements)`
  const odd = dtype === 'bool' ? value.data.findIndex((x) => x > 1) : -1
  return odd < 0 ? undefined : `${what} is bool and holds ${value.data[odd]} at ${odd}; it must be 0 or 1`
}

const showInputs = (inputs: ReadonlyMap<string, Tensor>): string =>
  [...inputs].map(([n, t]) => `${n} ${showShape(sizes(t.axes))}`).join(', ') || 'no inputs'

/** A variant that was chosen, and the inputs by name. */
export interface Chosen {
  readonly variant: Variant
  readonly index: number
  readonly inputs: ReadonlyMap<string, TensorValue>
}

/**
 * The variant of a function whose inputs are those given, in name and shape; then dtypes and lengths are checked.
 *
 * Fails with `UnknownFunction`, `BadInput` (missing, unknown, no value, of another dtype or length) or `NoVariant`, which
 * lists the compiled sizes.
 */
export const chooseVariant = (
  program: Program,
  name: string,
  inputs: Readonly<Record<string, TensorValue>>,
): Either<EngineError, Chosen> => {
  const found = functionOf(program, name)
  if (found._tag === 'Left') return found
  const variants = found.right
  const bad = (why: string) => left(engineError('BadInput', `function '${name}': ${why}`))
  if (inputs === null || typeof inputs !== 'object') return bad(`its inputs are a record of values by name`)
  const given = new Map(Object.entries(inputs).filter(([, v]) => v !== undefined))
  const named = variants.filter(
    (v) => given.size === v.inputs.size && [...given.keys()].every((n) => v.inputs.has(n)),
  )
  if (named.length === 0) {
    const takes = variants[0]!.inputs
    const missing = [...takes.keys()].filter((n) => !given.has(n))
    const unknown = [...given.keys()].filter((n) => !takes.has(n))
    return bad(
      `${[
        ...(missing.length > 0 ? [`missing input ${list(missing)}`] : []),
        ...(unknown.length > 0 ? [`unknown input ${list(unknown)}`] : []),
      ].join(' and ')}; it takes ${list(takes.keys())}`,
    )
  }
  for (const [n, v] of given) {
    const fault = kindFault(v)
    if (fault !== undefined) return bad(`input '${n}' ${fault}; an input is { shape, dtype, data }`)
  }
  const fits = (v: Variant): boolean =>
    [...v.inputs].every(([n, t]) => sameShape(sizes(t.axes), given.get(n)!.shape))
  const variant = named.find(fits)
  if (variant === undefined)
    return left(
      engineError(
        'NoVariant',
        `function '${name}' is not compiled for ${[...given].map(([n, v]) => `${n} ${showShape(v.shape)}`).join(', ')}; compiled: ${named.map((v) => showInputs(v.inputs)).join(' | ')}. Pad to one of these, or declare a bucket of that size`,
      ),
    )
  for (const [n, t] of variant.inputs) {
    const fault = valueFault(`input '${n}'`, t.dtype, given.get(n)!)
    if (fault !== undefined) return bad(fault)
  }
  return right({ variant, index: variants.indexOf(variant), inputs: given })
}

/** The first few of many names. */
const some = (names: readonly string[]): string =>
  `${list(names.slice(0, 8))}${names.length > 8 ? ', …' : ''}`

const unknownState = (program: Program, keys: readonly string[]): EngineError => {
  const all = [...program.states.keys()]
  return engineError(
    'UnknownState',
    `program '${program.name}' has no state ${some(keys)}; it has ${all.length}: ${some(all)}`,
  )
}

/** The declarations of these states, all where no keys are given; `UnknownState` names every key that is none. */
export const statesOf = (
  program: Program,
  keys: readonly string[] = [...program.states.keys()],
): Either<EngineError, readonly StateSpec[]> => {
  if (!Array.isArray(keys)) return left(engineError('BadInput', 'states are named by an array of their keys'))
  const missing = keys.filter((k) => !program.states.has(k))
  return missing.length > 0
    ? left(unknownState(program, missing))
    : right([...new Set(keys)].map((k) => program.states.get(k)!))
}

/** Checks that a snapshot has every state: `BadInput` names those that it lacks. */
export const checkSnapshot = (
  program: Program,
  snapshot: Snapshot,
): Either<EngineError, ReadonlyMap<string, TensorValue>> => {
  const states = snapshot?.states as unknown
  if (!(states instanceof Map)) return left(engineError('BadInput', 'that is no snapshot: it has no states'))
  const missing = [...program.states.keys()].filter((k) => !states.has(k))
  return missing.length === 0
    ? checkStates(program, states)
    : left(
        engineError(
          'BadInput',
          `the snapshot lacks ${missing.length} of the ${program.states.size} states of program '${program.name}': ${some(missing)}; it is of another program, or not whole`,
        ),
      )
}

/** Checks values that are to replace states: `UnknownState`, or `BadInput` for a wrong shape, dtype or length. */
export const checkStates = (
  program: Program,
  values: ReadonlyMap<string, TensorValue>,
): Either<EngineError, ReadonlyMap<string, TensorValue>> => {
  if (!((values as unknown) instanceof Map))
    return left(engineError('BadInput', 'values of states come as a Map from key to value'))
  const specs = statesOf(program, [...values.keys()])
  if (specs._tag === 'Left') return specs
  for (const spec of specs.right) {
    const value = values.get(spec.key)!
    const what = `state '${spec.key}'`
    const none = kindFault(value)
    if (none !== undefined)
      return left(engineError('BadInput', `the value of ${what} ${none}; a value is { shape, dtype, data }`))
    const fault = !sameShape(value.shape, sizes(spec.axes))
      ? `${what} has shape ${showShape(sizes(spec.axes))}, the given value ${showShape(value.shape)}`
      : valueFault(what, spec.dtype, value)
    if (fault !== undefined) return left(engineError('BadInput', fault))
  }
  return right(values)
}
