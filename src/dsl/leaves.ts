/** Where a graph begins: inputs, state, literals. */
import { type Axis, elements } from './axis.ts'
import { distinct } from './axis-error.ts'
import { GraphError } from './error.ts'
import { arrayOf, type Data, type Dtype, node, type Scalar, type Tensor } from './graph.ts'
import { type Init, wrongInit } from './init.ts'
import { declare } from './owner.ts'
import { type Site, siteOf } from './site.ts'

/** The names of a tuple of axes. */
export type NamesOf<A extends readonly Axis[]> = {
  readonly [I in keyof A]: A[I] extends Axis<infer N> ? N : never
}

/**
 * A value that the caller of a function supplies.
 *
 * @throws GraphError `DuplicateAxis`
 * @category constructors
 */
export const input = <const A extends readonly Axis[]>(
  name: string,
  axes: A,
  dtype: Dtype = 'float32',
): Tensor<NamesOf<A>> => {
  const site = siteOf(input)
  distinct(`input '${name}'`, axes, site)
  return node({ op: 'input', name }, [], axes, dtype, site)
}

/**
 * A value that lives in the session under `key`. Weights are states that {@link parameter} makes.
 *
 * @throws GraphError `DuplicateAxis`; `BadArgument` where it is filled with nothing that there is
 * @category constructors
 */
export const state = <const A extends readonly Axis[]>(
  key: string,
  axes: A,
  init: Init,
  dtype: Dtype = 'float32',
): Tensor<NamesOf<A>> => {
  const site = siteOf(state)
  distinct(`state '${key}'`, axes, site)
  const wrong = wrongInit(init)
  if (wrong !== undefined) throw new GraphError('BadArgument', `state '${key}': ${wrong}`, site, axes)
  return node({ op: 'state', key, init }, [], axes, dtype, site)
}

/**
 * A trainable float32 state: its key is its name in the published checkpoint, its axes the published shape.
 *
 * @throws GraphError `DuplicateAxis`; `KeyConflict` where another layer of the model that is being applied has that key
 * @category constructors
 */
export const parameter = <const A extends readonly Axis[]>(
  key: string,
  axes: A,
  init: Init,
): Tensor<NamesOf<A>> => {
  const leaf = state(key, axes, init)
  declare(key, leaf)
  return leaf
}

/**
 * Literal data, row-major.
 *
 * @throws GraphError `BadShape` where the data's length is not the axes' product
 * @category constructors
 */
export const constant = <const A extends readonly Axis[]>(data: Data, axes: A): Tensor<NamesOf<A>> => {
  const site = siteOf(constant)
  distinct('constant', axes, site)
  if (data.length !== elements(axes))
    throw new GraphError(
      'BadShape',
      `constant: ${data.length} numbers were given for ${elements(axes)} elements`,
      site,
      axes,
    )
  const dtype: Dtype =
    data instanceof Float32Array ? 'float32' : data instanceof Int32Array ? 'int32' : 'bool'
  return node({ op: 'constant', data }, [], axes, dtype, site)
}

/**
 * One number of rank 0.
 *
 * @throws GraphError `BadDtype` where the number is none of its dtype: 0.5 as int32, 2 as bool
 * @category constructors
 */
export const scalar = (value: number, dtype: Dtype = 'float32'): Scalar =>
  scalarOf(value, dtype, siteOf(scalar))

/** {@link scalar} for builders. */
export const scalarOf = (value: number, dtype: Dtype, site: Site): Scalar => {
  if (dtype === 'int32' ? (value | 0) !== value : dtype === 'bool' && value !== 0 && value !== 1)
    throw new GraphError(
      'BadDtype',
      `${value} is no ${dtype}: ${dtype === 'int32' ? 'cast the tensor that it meets to float32' : 'a bool is 0 or 1'}`,
      site,
    )
  return node({ op: 'constant', data: arrayOf[dtype].of(value) }, [], [], dtype, site)
}

/** int32 `0 … size−1` along an axis: positions. */
export const iota = <N extends string>(a: Axis<N>): Tensor<readonly [N]> =>
  node({ op: 'iota' }, [], [a], 'int32', siteOf(iota))
